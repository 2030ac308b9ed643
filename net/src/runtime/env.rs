//! Settings from the environment.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroU32;

/// The value of a variable; `None` if it is not set.
pub(crate) type Value = Result<Option<NonZeroU32>, EnvError>;

/// The error for a variable of the environment with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} is {value:?}, which is not a whole number from 1 to 4294967295; correct or unset it"
)]
pub struct EnvError {
    /// The variable's name.
    pub variable: &'static str,
    /// Its value; bytes that are not UTF-8 are replaced.
    pub value: String,
}

/// Reads `variable` from the environment of the process.
pub(crate) fn read(variable: &'static str) -> Value {
    parse(variable, env::var_os(variable))
}

pub(crate) fn parse(variable: &'static str, value: Option<OsString>) -> Value {
    let Some(value) = value else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.trim().parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(EnvError { variable, value: value.to_string_lossy().into_owned() }),
    }
}

/// A number from the environment as a size.
pub(crate) fn size(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).expect("the event queue requires a 64-bit system")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_unset_variables_are_none() {
        assert_eq!(parse("HEIST_WORKERS", None), Ok(None));
        assert_eq!(parse("HEIST_WORKERS", Some(" 16 ".into())), Ok(NonZeroU32::new(16)));
    }

    #[test]
    fn error_names_the_variable_and_its_value() {
        for value in ["", "0", "-1", "4294967296", "two"] {
            let error = parse("HEIST_SHARDS", Some(value.into())).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("HEIST_SHARDS") && message.contains(&format!("{value:?}")));
        }
    }
}
