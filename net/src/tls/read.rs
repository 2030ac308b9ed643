//! Certificates and keys, read from where they are.

use std::fs;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};

use super::error::{ConfigError, Content};
use super::source::Source;

impl Source {
    /// All objects of the kind `T`.
    pub(super) fn read<T>(&self, content: Content) -> Result<Vec<T>, ConfigError>
    where
        T: PemObject + FromDer,
    {
        let objects = match self {
            Source::File(path) => self.parse(content, &self.read_file(content, path)?)?,
            Source::Pem(bytes) => self.parse(content, bytes)?,
            Source::Der(objects) => {
                let objects = objects.iter().map(|der| T::from_der(der.clone()));
                objects
                    .collect::<Result<_, _>>()
                    .map_err(|reason| self.unusable(content, reason))?
            }
        };
        match objects.is_empty() {
            true => Err(ConfigError::Missing { content, origin: self.clone() }),
            false => Ok(objects),
        }
    }

    /// The error of what it contains.
    pub(super) fn unusable(&self, content: Content, reason: impl ToString) -> ConfigError {
        ConfigError::Unusable { content, origin: self.clone(), reason: reason.to_string() }
    }

    fn read_file(&self, content: Content, path: &Path) -> Result<Vec<u8>, ConfigError> {
        fs::read(path).map_err(|source| ConfigError::Read { content, origin: self.clone(), source })
    }

    fn parse<T: PemObject>(&self, content: Content, bytes: &[u8]) -> Result<Vec<T>, ConfigError> {
        let objects: Result<_, pem::Error> = T::pem_slice_iter(bytes).collect();
        objects.map_err(|error| ConfigError::Pem {
            content,
            origin: self.clone(),
            reason: error.to_string(),
        })
    }
}

/// An object that is made from DER.
pub(super) trait FromDer: Sized {
    fn from_der(der: Vec<u8>) -> Result<Self, &'static str>;
}

impl FromDer for rustls::pki_types::CertificateDer<'static> {
    fn from_der(der: Vec<u8>) -> Result<Self, &'static str> {
        Ok(der.into())
    }
}

impl FromDer for rustls::pki_types::CertificateRevocationListDer<'static> {
    fn from_der(der: Vec<u8>) -> Result<Self, &'static str> {
        Ok(der.into())
    }
}

impl FromDer for rustls::pki_types::PrivateKeyDer<'static> {
    fn from_der(der: Vec<u8>) -> Result<Self, &'static str> {
        der.try_into()
    }
}
