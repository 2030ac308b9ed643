//! The options, and what is said about those that cannot be used.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use heist::server::Address;

use crate::access;
use crate::limits::LimitOptions;
use crate::units;

/// How to serve.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Listen on IP:PORT, [IPv6]:PORT, unix:PATH or unix:@NAME; may be given more than once. Port 0 lets the
    /// system choose one, which is then printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) listen: Vec<Address>,

    /// Worker threads, at most 1024; as many as CPUs if not given. HEIST_WORKERS in the environment
    /// wins
    #[arg(long, value_name = "NUMBER", value_parser = units::workers)]
    pub(crate) workers: Option<usize>,

    /// Answer /metrics, /healthz and /readyz on this address, from a thread of their own; `none`
    /// for nowhere
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = admin)]
    admin: Admin,

    /// Answer /metrics on the addresses of --listen, too, where every client can read it
    #[arg(long)]
    pub(crate) public_metrics: bool,

    /// How long requests in flight may take to end after a signal, such as 500ms, 30s or 2m; with
    /// 0s they are cut at once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(crate) grace: Duration,

    /// How long to go on serving after a signal while /readyz says no already, for load balancers
    /// that hear of it late
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration)]
    pub(crate) drain_delay: Duration,

    /// How log lines look; RUST_LOG chooses which ones there are
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Append one line for each request to this file; `-` for standard output, none if not given.
    /// SIGUSR1 opens it again
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,

    /// How the lines of --access-log look
    #[arg(long, value_name = "FORMAT", default_value = "common")]
    pub(crate) access_log_format: access::Format,

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

impl Command {
    /// Reads arguments, the first of which is the program's name.
    ///
    /// A value may begin with a hyphen: `-1` is then refused as a value, with what was expected, and
    /// not as an unknown option. That of a path is taken as it is.
    fn read<T: Into<OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Command, clap::Error> {
        let any_value = |arg: clap::Arg| {
            let takes = arg.get_action().takes_values() && arg.get_id() != "access_log";
            if takes { arg.allow_hyphen_values(true) } else { arg }
        };
        let command =
            Command::command().mut_args(any_value).mut_subcommands(|verb| verb.mut_args(any_value));
        Command::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }
}

impl Options {
    /// The address of the admin listener, if there is to be one.
    pub(crate) fn admin(&self) -> Option<&Address> {
        self.admin.0.as_ref()
    }

    /// Reads the process's arguments.
    pub(crate) fn from_arguments() -> Result<Options, Refusal> {
        let command = Command::read(std::env::args_os()).map_err(Refusal)?;
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
                let what = one_line(&text);
                crate::console::eprint(format_args!("{what} (heist --help lists the options)"));
                ExitCode::from(2)
            }
        }
    }
}

/// What clap says of an error, on one line: also the possible values and the option that was
/// probably meant, and not how the program is used in general.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with("Usage:")).collect();
    let line = lines.join("; ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    let (line, _) = line.split_once("; For more information").unwrap_or((line, ""));
    line.replace("; tip: ", "; ").replace("; [possible", " [possible")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Command {
        Command::read([&["heist"], arguments].concat()).unwrap()
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

    fn refusal(arguments: &[&str]) -> String {
        one_line(&Command::read([&["heist"], arguments].concat()).unwrap_err().to_string())
    }

    /// Failure: the line that is printed leaves out what could be put right, and how.
    #[test]
    fn refusals_say_on_one_line_what_was_expected() {
        for (arguments, words) in [
            (&["--workers", "0"][..], "from 1 to 1024"),
            (&["--workers", "-1"], "invalid value '-1' for '--workers <NUMBER>'"),
            (&["serve", "--min-rate", "-1"], "0 for no bound"),
            (&["--log-format", "xml"], "[possible values: text, json]"),
            (&["--lisen", "1.2.3.4:1"], "'--listen'"),
            (&["srve"], "'serve'"),
            (&["--grace", "-1s"], "expected a time such as"),
            (&["--idle-timeout", "0s"], "cannot be switched off"),
            (&["--listen", "--admin"], "expected IP:PORT"),
        ] {
            let line = refusal(arguments);
            assert!(line.contains(words), "{arguments:?}: {line}");
            assert!(!line.contains(['\n']) && !line.contains("Usage"), "{arguments:?}: {line}");
        }
    }
}
