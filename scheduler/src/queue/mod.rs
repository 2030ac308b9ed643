//! Where runnable tasks wait: a deque with a next slot for each worker, and the injector for tasks
//! that other threads wake.

mod deque;
mod injector;
mod steal;

pub(crate) use deque::{LocalQueue, SharedQueue, queue};
pub(crate) use injector::Injector;
