//! The options, and the messages about invalid ones.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use heist::server::{Address, TrustedProxy};

use crate::access;
use crate::limits::LimitOptions;
use crate::tls::TlsOptions;
use crate::units;

/// The options of `serve`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Listen on IP:PORT, [IPv6]:PORT, unix:PATH or unix:@NAME; may be given more than once. For
    /// port 0 the system chooses one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    pub(crate) listen: Vec<Address>,

    /// Proxies of which each connection to --listen begins with a PROXY header (v1 or v2), whose client
    /// is then the peer: networks such as 10.0.0.0/8, addresses, or unix for all Unix sockets, separated
    /// by commas; may be given more than once, none if not given
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) proxy_protocol_from: Vec<TrustedProxy>,

    /// Worker threads, at most 1024; as many as CPUs if not given. HEIST_WORKERS in the environment
    /// takes precedence
    #[arg(long, value_name = "NUMBER", value_parser = units::workers)]
    pub(crate) workers: Option<usize>,

    /// Answer /metrics, /healthz and /readyz on this address, from a thread of their own; `none` to
    /// switch this off
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = admin)]
    admin: Admin,

    /// Answer /metrics on the addresses of --listen, too, for every client
    #[arg(long)]
    pub(crate) public_metrics: bool,

    /// How long requests in flight may take to finish after a stop signal, such as 500ms, 30s or 2m;
    /// with 0s they are force-closed at once
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration)]
    pub(crate) grace: Duration,

    /// How long to keep serving after a stop signal while /readyz answers 503, so that load
    /// balancers notice
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration)]
    pub(crate) drain_delay: Duration,

    /// Format of log lines; RUST_LOG sets the level
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Append one line for each request to this file; `-` for standard output, none if not given.
    /// SIGUSR1 reopens it
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,

    /// Format of the lines of --access-log
    #[arg(long, value_name = "FORMAT", default_value = "common")]
    pub(crate) access_log_format: access::Format,

    #[command(flatten)]
    pub(crate) tls: TlsOptions,

    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

/// The address of the admin listener, if there is one.
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

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object a line.
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
    /// Serve; the default without a command
    Serve(Options),
}

impl Command {
    /// Reads arguments, the first of which is the program's name.
    ///
    /// A value may begin with a hyphen: `-1` is refused as a value, with what was expected, and not
    /// as an unknown option. For the path of the access log `-` is a value.
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
    /// The address of the admin listener; `None` if it is switched off.
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

/// The arguments ask for help or the version, or are invalid.
#[derive(Debug)]
pub(crate) struct Refusal(clap::Error);

impl Refusal {
    /// Prints help to standard output, or a one-line error to standard error.
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

/// clap's message on one line: with the possible values and the most similar option, without the
/// general usage.
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
    use crate::tls::Http2;

    fn parse(arguments: &[&str]) -> Command {
        Command::read([&["heist"], arguments].concat()).unwrap()
    }

    #[test]
    fn options_without_the_word_serve_are_those_of_serve() {
        let bare = parse(&["--max-body", "1KiB", "--listen", "[::1]:1", "--listen", "unix:/x"]);
        assert_eq!(bare.options.limits.to_limits().max_body, 1024);
        assert_eq!(bare.options.listen.len(), 2);
        let explicit = parse(&["serve", "--max-body", "2KiB"]);
        let Some(Verb::Serve(options)) = explicit.verb else { panic!("no command") };
        assert_eq!(options.limits.to_limits().max_body, 2048);
        assert_eq!(parse(&["--admin", "none"]).options.admin(), None);
        for (arguments, is) in
            [(&[][..], Http2::Tls), (&["--http2"], Http2::All), (&["--http2=none"], Http2::None)]
        {
            assert_eq!(parse(arguments).options.tls.http2, is);
        }
        let proxies = ["--proxy-protocol-from", "10.0.0.0/8,::1", "--proxy-protocol-from", "unix"];
        assert_eq!(parse(&proxies).options.proxy_protocol_from.len(), 3);
    }

    fn refusal(arguments: &[&str]) -> String {
        one_line(&Command::read([&["heist"], arguments].concat()).unwrap_err().to_string())
    }

    /// Failure: the error does not say what is wrong or what was expected.
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
            (&["--proxy-protocol-from", "10.0.0.1/8"], "write 10.0.0.0/8"),
            (&["--proxy-protocol-from", "::1,lb.example"], "expected a network such as"),
            (&["--tls-cert", "c.pem"], "--tls-key <FILE>"),
            (&["--tls-key", "k.pem"], "--tls-cert <FILE>"),
            (&["--http2=always"], "[possible values: none, tls, all]"),
        ] {
            let line = refusal(arguments);
            assert!(line.contains(words), "{arguments:?}: {line}");
            assert!(!line.contains(['\n']) && !line.contains("Usage"), "{arguments:?}: {line}");
        }
    }
}
