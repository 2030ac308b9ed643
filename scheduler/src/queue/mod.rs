//! Where runnable tasks wait: a deque for each worker, and the injector for all other threads.

mod deque;
mod injector;

pub(crate) use deque::{LocalQueue, SharedQueue, queue};
pub(crate) use injector::Injector;
