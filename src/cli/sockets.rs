//! The listening sockets: taken over or bound, before any thread runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use heist::server::{Address, BindError, Listener};

use super::handover::Inherited;

/// All sockets that the program listens on.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) public: Vec<Listener>,
    pub(crate) admin: Option<Listener>,
}

impl Sockets {
    /// Listens on all addresses, or on none. What was inherited is used where it fits, and what is
    /// left of it is served as well.
    pub(crate) fn open(
        public: &[Address],
        admin: Option<&Address>,
        inherited: Option<&mut Inherited>,
    ) -> Result<Sockets, BindError> {
        let Some(inherited) = inherited else {
            let public = public.iter().map(Listener::bind).collect::<Result<_, _>>()?;
            let admin = admin.map(Listener::bind).transpose()?;
            return Ok(Sockets { public, admin });
        };
        // All at once: each address gets its own before one that would take any port does.
        let mut all: Vec<_> = public.to_vec();
        all.extend(admin.cloned());
        let mut public = claim_or_bind(&all, inherited)?;
        let admin = admin.and_then(|_| public.pop());
        public.extend(inherited.unclaimed());
        Ok(Sockets { public, admin })
    }

    /// Second descriptors of all of them, to hand over later; in the order in which
    /// [`open`](Sockets::open) claims them.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        let all = self.public.iter().chain(&self.admin);
        all.map(|listener| listener.as_fd().try_clone_to_owned()).collect()
    }
}

fn claim_or_bind(
    addresses: &[Address],
    inherited: &mut Inherited,
) -> Result<Vec<Listener>, BindError> {
    let claimed = inherited.claim(addresses);
    let both = addresses.iter().zip(claimed);
    both.map(|(address, claimed)| claimed.map_or_else(|| Listener::bind(address), Ok)).collect()
}
