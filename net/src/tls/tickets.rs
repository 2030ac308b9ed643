//! Tickets, by which a client resumes a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{RwLock, RwLockReadGuard};
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::UnixTime;
use rustls::server::ProducesTickets;

use super::error::ConfigError;

/// Whether a server lets clients resume their sessions, which saves a signature, a key exchange of TLS
/// 1.2, and the certificates.
///
/// The server keeps no state of a session: a ticket holds it, encrypted by a key that only this process
/// has. The key is replaced every 6 hours and decrypts for 6 hours more, so a ticket is good for 6 to 12
/// hours, and a stolen key opens no older one. A restarted server does not know the keys of the one
/// before; its clients make full handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tickets {
    /// Tickets that a client of TLS 1.3 is sent after a handshake; 0 for none. By default 1: each
    /// resumption gives a new one. TLS 1.2 has one.
    pub sent: usize,
    /// The most that a client of TLS 1.3 may ask for (RFC 9149). By default 4.
    pub most: usize,
}

impl Tickets {
    /// No session is resumed.
    pub const OFF: Tickets = Tickets { sent: 0, most: 0 };

    /// For how long at least a ticket is good.
    pub const LIFETIME: Duration = Duration::from_secs(6 * 60 * 60);

    /// Makes tickets with keys of their own.
    pub(super) fn ticketer(self) -> Result<Option<Arc<dyn ProducesTickets>>, ConfigError> {
        if self.sent == 0 && self.most == 0 {
            return Ok(None);
        }
        match Rotator::new(Box::new(|| UnixTime::now().as_secs())) {
            Ok(rotator) => Ok(Some(Arc::new(rotator))),
            Err(error) => Err(ConfigError::Settings(format!("no ticket keys: {error}"))),
        }
    }
}

impl Default for Tickets {
    /// As its fields say.
    fn default() -> Tickets {
        Tickets { sent: 1, most: 4 }
    }
}

/// Encrypts tickets by the current key, and decrypts them by that and the one before.
struct Rotator {
    keys: RwLock<Keys>,
    /// Seconds since 1970.
    now: Box<Clock>,
}

type Clock = dyn Fn() -> u64 + Send + Sync;

struct Keys {
    current: Arc<dyn ProducesTickets>,
    previous: Option<Arc<dyn ProducesTickets>>,
    /// When `current` is to be replaced.
    ends: u64,
}

impl Rotator {
    fn new(now: Box<Clock>) -> Result<Rotator, rustls::Error> {
        let keys = Keys { current: Ticketer::new()?, previous: None, ends: now() + LIFETIME };
        Ok(Rotator { keys: RwLock::new(keys), now })
    }

    /// The keys, replaced if it is time. Without random numbers for a new one they stay.
    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        let now = (self.now)();
        let keys = self.keys.read();
        if now < keys.ends {
            return keys;
        }
        drop(keys);
        if let Ok(fresh) = Ticketer::new() {
            self.keys.write().rotate(fresh, now);
        }
        self.keys.read()
    }
}

impl Keys {
    fn rotate(&mut self, fresh: Arc<dyn ProducesTickets>, now: u64) {
        // Another thread may have done it.
        if now < self.ends {
            return;
        }
        let replaced = std::mem::replace(&mut self.current, fresh);
        let is_good = now < self.ends + LIFETIME;
        self.previous = is_good.then_some(replaced);
        self.ends = now + LIFETIME;
    }
}

impl ProducesTickets for Rotator {
    fn enabled(&self) -> bool {
        true
    }

    /// For how long the client may keep a ticket.
    fn lifetime(&self) -> u32 {
        2 * LIFETIME as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys().current.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        let previous = || keys.previous.as_ref()?.decrypt(cipher);
        keys.current.decrypt(cipher).or_else(previous)
    }
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rotator")
    }
}

const LIFETIME: u64 = Tickets::LIFETIME.as_secs();

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A rotator, and its clock.
    fn rotator() -> (Rotator, Arc<AtomicU64>) {
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let hand = Arc::clone(&clock);
        (Rotator::new(Box::new(move || hand.load(Ordering::SeqCst))).unwrap(), clock)
    }

    #[test]
    fn ticket_is_good_for_one_rotation_and_not_for_two() {
        let (rotator, clock) = rotator();
        let old = rotator.encrypt(b"old").unwrap();
        clock.fetch_add(LIFETIME, Ordering::SeqCst);
        let new = rotator.encrypt(b"new").unwrap();
        assert_eq!(rotator.decrypt(&old).as_deref(), Some(&b"old"[..]));
        assert_eq!(rotator.decrypt(&new).as_deref(), Some(&b"new"[..]));
        clock.fetch_add(LIFETIME, Ordering::SeqCst);
        assert_eq!(rotator.decrypt(&old), None);
        assert_eq!(rotator.decrypt(&new).as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn ticket_ends_in_time_though_no_other_was_made_meanwhile() {
        let (rotator, clock) = rotator();
        let old = rotator.encrypt(b"old").unwrap();
        clock.fetch_add(2 * LIFETIME, Ordering::SeqCst);
        assert_eq!(rotator.decrypt(&old), None);
    }

    #[test]
    fn forged_and_foreign_tickets_are_refused() {
        let (rotator, _) = rotator();
        let mut ticket = rotator.encrypt(b"mine").unwrap();
        let (other, _) = self::rotator();
        other.encrypt(b"theirs").unwrap();
        assert_eq!(other.decrypt(&ticket), None);
        *ticket.last_mut().unwrap() ^= 1;
        assert_eq!(rotator.decrypt(&ticket), None);
        assert_eq!(rotator.decrypt(b""), None);
    }
}
