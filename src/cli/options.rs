//! The options, and what is said about those that cannot be used.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use heist::server::Address;

use super::limits::LimitOptions;
use super::units;

/// How to serve.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Listen on IP:PORT, [IPv6]:PORT or unix:PATH; may be given more than once. Port 0 lets the
    /// system choose one, which is then printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) listen: Vec<Address>,

    /// Worker threads; as many as CPUs if not given. HEIST_WORKERS in the environment wins
    #[arg(long, value_name = "NUMBER")]
    pub(crate) workers: Option<NonZeroUsize>,

    /// Answer /metrics, /healthz and /readyz on this address, from a thread of their own; `none`
    /// for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = admin)]
    admin: Admin,

    /// How long requests in flight may take to end after a signal, such as 500ms, 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(crate) grace: Duration,

    /// How long to go on serving after a signal while /readyz says no already, for load balancers
    /// that hear of it late
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration)]
    pub(crate) drain_delay: Duration,

    /// How log lines look; RUST_LOG chooses which ones there are
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// Where the admin listener is, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Admin(Option<Address>);

fn admin(text: &str) -> Result<Admin, String> {
    match text {
        "none" => Ok(Admin(None)),
        address => match address.parse() {
            Ok(address) => Ok(Admin(Some(address))),
            Err(error) => Err(format!("{error}, or none")),
        },
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// An HTTP server on heist: plain text, echo, streamed uploads, metrics.
#[derive(Parser, Debug)]
#[command(name = "heist", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Serve (what heist does without a command)
    Serve(Options),
}

impl Options {
    /// The address of the admin listener, if there is to be one.
    pub(crate) fn admin(&self) -> Option<&Address> {
        self.admin.0.as_ref()
    }

    /// Reads the process's arguments.
    pub(crate) fn from_arguments() -> Result<Options, Refusal> {
        let command = Command::try_parse().map_err(Refusal)?;
        Ok(match command.verb {
            Some(Verb::Serve(options)) => options,
            None => command.options,
        })
    }
}

/// The arguments say something else than to serve: to print help, or nothing that makes sense.
#[derive(Debug)]
pub(crate) struct Refusal(clap::Error);

impl Refusal {
    /// Prints help to standard output, or one line about what is wrong to standard error.
    pub(crate) fn print(&self) -> ExitCode {
        let text = self.0.to_string();
        match self.0.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            _ => {
                let what = text.lines().next().unwrap_or_default();
                let what = what.strip_prefix("error: ").unwrap_or(what);
                super::complain(format_args!("{what} (heist --help lists the options)"));
                ExitCode::from(2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Command {
        Command::try_parse_from([&["heist"], arguments].concat()).unwrap()
    }

    #[test]
    fn options_without_the_word_serve_are_those_of_serve() {
        let bare = parse(&["--max-body", "1KiB", "--listen", "[::1]:1", "--listen", "unix:/x"]);
        assert_eq!(bare.options.limits.to_limits().max_body, 1024);
        assert_eq!(bare.options.listen.len(), 2);
        let spoken = parse(&["serve", "--max-body", "2KiB"]);
        let Some(Verb::Serve(options)) = spoken.verb else { panic!("no command") };
        assert_eq!(options.limits.to_limits().max_body, 2048);
        assert_eq!(parse(&["--admin", "none"]).options.admin(), None);
    }

    #[test]
    fn zero_workers_are_refused() {
        assert!(Command::try_parse_from(["heist", "--workers", "0"]).is_err());
    }
}
