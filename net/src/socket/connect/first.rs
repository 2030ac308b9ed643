//! The first address of a target that the system takes.

use std::io;
use std::net::SocketAddr;

use super::resolve;
use super::target::Target;
use crate::runtime::operation::{self, outcome_until_shutdown};

/// Calls `take`, which does not wait, with each address of `target` until one is taken. The error is
/// that of the last address.
pub(crate) async fn first<T>(
    target: Target,
    take: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    if let Some(address) = target.address() {
        operation::proceed().await;
        return outcome_until_shutdown(take(address)).await;
    }
    let mut taken = Err(io::ErrorKind::NotFound.into());
    for address in resolve::resolve(target).await? {
        taken = outcome_until_shutdown(take(address)).await;
        if taken.is_ok() {
            break;
        }
    }
    taken
}
