//! Where runnable tasks wait: for each worker a deque with a next slot and an express queue, and the injector for
//! tasks that other threads wake.

mod deque;
mod express;
mod injector;
mod steal;

pub(crate) use deque::{LocalQueue, SharedQueue, queue};
pub(crate) use injector::Injector;
