//! Which certificate a client is given.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Loaded;

/// What a server does with a client that names no server, or one that no certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NamePolicy {
    /// It is given the first certificate.
    #[default]
    UseFirst,
    /// The handshake fails, with the alert `unrecognized_name`.
    Refuse,
}

/// Chooses by the name that the client asks for, and among certificates for that name by what the
/// client can verify.
#[derive(Debug)]
pub(super) struct Resolver {
    /// All of them, in the order of the configuration.
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By the name without its first label.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    missing_name: NamePolicy,
    unknown_name: NamePolicy,
}

/// What the resolver learns from a `ClientHello`. rustls does not tell otherwise.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) server_name: Option<Box<str>>,
    /// No certificate is for that name, and the policy is to refuse it.
    pub(super) is_refused: bool,
}

thread_local! {
    /// The way from the resolver to the session that calls it, on the same thread.
    static HELLO: Cell<Option<Hello>> = const { Cell::new(None) };
}

/// What the resolver has noted since the last call on this thread.
pub(super) fn take_hello() -> Option<Hello> {
    HELLO.take()
}

impl Resolver {
    pub(super) fn new(
        certificates: Vec<Loaded>,
        missing_name: NamePolicy,
        unknown_name: NamePolicy,
    ) -> Resolver {
        let mut resolver = Resolver {
            all: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            missing_name,
            unknown_name,
        };
        for Loaded { key, names, .. } in certificates {
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent.to_owned()),
                    None => (&mut resolver.exact, name),
                };
                map.entry(name).or_default().push(Arc::clone(&key));
            }
            resolver.all.push(key);
        }
        resolver
    }

    /// The certificates for `name`: those that name it, or else those with a wildcard for its first
    /// label.
    fn for_name(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        let name = name.to_ascii_lowercase();
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(wildcard).map(Vec::as_slice)
    }

    fn candidates(&self, name: Option<&str>) -> Option<&[Arc<CertifiedKey>]> {
        let (found, policy) = match name {
            Some(name) => (self.for_name(name), self.unknown_name),
            None => (None, self.missing_name),
        };
        match (found, policy) {
            (Some(found), _) => Some(found),
            (None, NamePolicy::UseFirst) => Some(&self.all),
            (None, NamePolicy::Refuse) => None,
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        HELLO.set(Some(Hello {
            server_name: hello.server_name().map(Into::into),
            is_refused: candidates.is_none(),
        }));
        let candidates = candidates?;
        let schemes = hello.signature_schemes();
        let fits = |one: &&Arc<CertifiedKey>| one.key.choose_scheme(schemes).is_some();
        candidates.iter().find(fits).or(candidates.first()).cloned()
    }
}
