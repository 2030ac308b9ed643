//! The program from start to end: what is started in which order, and ended in which.

use std::error::Error;
use std::io;
use std::iter;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heist::Runtime;
use heist::http::Http;
use heist::server::{self, Builder, Listener, NoService, Serve, Server};
use heist::tls::{self, TlsStream};
use hyper::service::service_fn;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::access::{AccessLog, AccessLogError, Writer};
use crate::addresses::{Scheme, curl, url};
use crate::admin::{Admin, AdminError};
use crate::app::App;
use crate::console::{eprint, print};
use crate::failures::Failures;
use crate::handover::{self, HandoverError, Inherited};
use crate::logging::{self, FilterError, Logging};
use crate::memory::Crowd;
use crate::notices::Notices;
use crate::notify::{self, Watchdog};
use crate::options::Options;
use crate::recording::{self, Recorded, Recorder, Watched};
use crate::reload::Reloads;
use crate::restarter::Restarter;
use crate::routes::Routes;
use crate::signals::{Signals, Stop, Stopper};
use crate::sockets::{SocketError, Sockets};
use crate::tls::{Http2, reload_with};
use crate::units;

/// The running program.
pub(crate) struct Program {
    options: Options,
    signals: Signals,
    restarter: Restarter,
    logging: Logging,
    access: Option<Writer>,
    runtime: Runtime,
    app: Arc<App>,
    server: Arc<Server>,
    admin: Option<Admin>,
    watchdog: Option<Watchdog>,
}

impl Program {
    /// Starts to serve.
    ///
    /// Everything that depends on options, environment and files comes before the first thread.
    pub(crate) fn start(options: Options) -> Result<Program, StartError> {
        let filter = logging::filter()?;
        check_environment()?;
        raise_descriptor_limit();
        // Before this process opens a descriptor: LISTEN_FDS may count descriptors that were not
        // passed, and would then include one of this process.
        let mut inherited = handover::inherited()?;
        // Before anything that takes time: until then the signals' default actions kill the
        // process.
        let (signals, stopper) = Signals::install().map_err(StartError::Signals)?;
        let stopper = Arc::new(stopper);
        let restarter = Restarter::install(&stopper).map_err(StartError::Signals)?;
        let notices = Notices::install().map_err(StartError::Signals)?;
        let sockets = Sockets::open(&options.listen, options.admin(), inherited.as_mut())?;
        let duplicates = sockets.duplicates().map_err(StartError::Duplicates)?;
        let tls = options.tls.load()?;
        let access = access_log(&options)?;

        let logging = Logging::start(filter, options.log_format);
        let runtime = runtime(&options)?;
        let app = App::new(runtime.handle().clone(), logging.dropped_lines());
        let mut reloads = Reloads::default();
        tls.iter().for_each(|tls| reload_with(&mut reloads, tls));
        let (lines, access) = access.map(|access| access.start(&mut reloads)).unzip();
        access.iter().for_each(|writer| app.show_access_log(writer));
        let crowd = Crowd::start().map_err(StartError::Thread)?;
        let recorder = Recorder { lines, failures: Arc::new(Failures::new()) };
        let service = service(Routes::new(&app, &options), &options, &recorder, crowd);
        let builder = settings(&options, sockets.public, &stopper);
        let server = serve(builder, tls, service, &runtime)?;
        app.show(&server);
        let admin = sockets.admin.map(|listener| Admin::start(listener, &app)).transpose()?;
        announce(&server, options.tls.scheme(), admin.as_ref(), &runtime);
        restarter.start(duplicates).map_err(StartError::Thread)?;
        notices.start(reloads).map_err(StartError::Thread)?;
        let watchdog = Watchdog::start(runtime.handle()).map_err(StartError::Thread)?;
        announce_ready(inherited)?;
        Ok(Program {
            options,
            signals,
            restarter,
            logging,
            access,
            runtime,
            app,
            server,
            admin,
            watchdog,
        })
    }

    /// Serves until there is a reason to stop, then ends in order.
    pub(crate) fn run(mut self) -> Stop {
        let stop = self.signals.wait();
        self.restarter.end();
        match stop {
            Stop::HandedOver => self.leave_to_successor(),
            Stop::Signal | Stop::ListenerFailed => self.delay_drain(),
        }
        self.end();
        stop
    }

    /// Leaves all sockets, that of the admin listener too, to the new process. The service manager
    /// is not notified: this process ends, the service does not.
    fn leave_to_successor(&mut self) {
        self.server.keep_files();
        if let Some(admin) = self.admin.take() {
            admin.keep_files();
            admin.end();
        }
    }

    /// Keeps serving for `--drain-delay`, so that load balancers see `/readyz` fail first.
    fn delay_drain(&self) {
        self.app.begin_ending();
        notify::stopping();
        let delay = self.options.drain_delay;
        if !delay.is_zero() {
            tracing::info!(?delay, "not ready any more; serving until the drain delay is over");
            thread::sleep(delay);
        }
    }

    fn end(self) {
        let grace = self.options.grace;
        tracing::info!(?grace, "draining");
        let report = self.server.drain_blocking(grace);
        let left = self.runtime.shutdown(FORCE_CLOSE_TIME);
        // Not earlier: during a long drain the watchdog still reports that the process is alive.
        drop(self.watchdog);
        if let Some(admin) = self.admin {
            admin.end();
        }
        // After the last request, and before the log that takes its errors.
        drop(self.access);
        let dropped_lines = self.logging.end();
        print(format_args!("heist stopped: {report}; {dropped_lines} log lines dropped"));
        if left.threads_left > 0 {
            eprint(format_args!(
                "{} threads did not end in {FORCE_CLOSE_TIME:?}",
                left.threads_left
            ));
        }
    }
}

fn access_log(options: &Options) -> Result<Option<AccessLog>, AccessLogError> {
    let path = options.access_log.as_deref();
    path.map(|path| AccessLog::open(path, options.access_log_format)).transpose()
}

fn runtime(options: &Options) -> Result<Runtime, heist::StartError> {
    let builder = heist::Builder::new();
    match options.workers {
        Some(workers) => builder.workers(workers).start(),
        None => builder.start(),
    }
}

/// Applies the bound of `--workers` to HEIST_WORKERS. The runtime refuses a value that is no
/// number.
fn check_environment() -> Result<(), StartError> {
    let workers = std::env::var("HEIST_WORKERS").ok().and_then(|text| text.trim().parse().ok());
    match workers {
        Some(workers) if workers > units::MOST_WORKERS => Err(StartError::Workers(workers)),
        _ => Ok(()),
    }
}

/// The service of a connection: the routes, recorded, behind hyper.
fn service(
    routes: Routes,
    options: &Options,
    recorder: &Recorder,
    crowd: Arc<Crowd>,
) -> impl Serve + Serve<TlsStream> + use<> {
    let service = service_fn(move |request| routes.decide(request).answer());
    let http = Http::new(Recorded::new(service, recorder))
        .on_refused(recording::refused)
        .prior_knowledge(options.tls.http2 == Http2::All);
    Watched::new(http, recorder, crowd)
}

/// The server on `listeners`, without its service.
fn settings(
    options: &Options,
    listeners: Vec<Listener>,
    stopper: &Arc<Stopper>,
) -> Builder<NoService> {
    let stopper = Arc::clone(stopper);
    let builder = Server::builder()
        .name("http")
        .limits(options.limits.to_limits())
        .proxy_protocol(options.proxy_protocol_from.iter().copied())
        .on_listener_lost(move |_, _| stopper.listener_failed());
    listeners.into_iter().fold(builder, |builder, it| builder.listen(it))
}

/// Starts the server with `service`, behind TLS if there is a configuration.
fn serve(
    builder: Builder<NoService>,
    tls: Option<tls::Config>,
    service: impl Serve + Serve<TlsStream>,
    runtime: &Runtime,
) -> Result<Arc<Server>, server::StartError> {
    let server = match tls {
        Some(tls) => builder.tls(tls).serve(service).start_on(runtime.handle()),
        None => builder.serve(service).start_on(runtime.handle()),
    };
    server.map(Arc::new)
}

/// Raises the soft limit on descriptors to the hard one.
///
/// Every connection is a descriptor, and the soft limit is low for the sake of programs that use
/// `select`. If it cannot be raised, the program runs with the soft one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Tells the predecessor, or else the service manager, that this process serves.
fn announce_ready(inherited: Option<Inherited>) -> Result<(), StartError> {
    match inherited.and_then(|mut inherited| inherited.predecessor()) {
        Some(predecessor) => predecessor.announce_ready().map_err(StartError::Orphaned),
        None => {
            notify::ready();
            Ok(())
        }
    }
}

/// Prints the addresses, and a command to try.
fn announce(server: &Server, scheme: Scheme, admin: Option<&Admin>, runtime: &Runtime) {
    let urls: Vec<_> = server.addresses().iter().map(|it| url(scheme, it)).collect();
    let workers = match runtime.handle().workers() {
        1 => "1 worker".to_owned(),
        workers => format!("{workers} workers"),
    };
    let admin = admin.map_or_else(String::new, |admin| format!(", admin on {}", admin.url()));
    let curl = curl(scheme, &server.addresses()[0]);
    print(format_args!("heist serving on {} ({workers}){admin}; try: {curl}", urls.join(", ")));
    let limits = server.shared().limits();
    tracing::info!(addresses = ?server.addresses(), ?limits, "serving");
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = limits.connections;
    if connections as u64 >= descriptors {
        tracing::warn!(
            connections,
            descriptors,
            "--max-connections is beyond the limit on open files: raise ulimit -n or LimitNOFILE="
        );
    }
}

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Inherited(#[from] HandoverError),
    #[error(transparent)]
    Bind(#[from] SocketError),
    #[error("{0} (--tls-cert and --tls-key name the files)")]
    Tls(#[from] tls::ConfigError),
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    #[error("HEIST_WORKERS is {0}, but at most {most} workers are allowed; correct or unset it", most = units::MOST_WORKERS)]
    Workers(usize),
    #[error("cannot duplicate the descriptors of the listening sockets: {0}")]
    Duplicates(#[source] io::Error),
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot start: {0}")]
    Runtime(#[from] heist::StartError),
    #[error(transparent)]
    Serve(#[from] server::StartError),
    #[error("cannot start the admin listener: {0}")]
    Admin(#[from] AdminError),
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    #[error("the process to be replaced has ended: {0}")]
    Orphaned(#[source] io::Error),
}

impl StartError {
    /// What to do about it, if the error itself does not say; empty otherwise.
    pub(crate) fn cure(&self) -> String {
        match self.errno() {
            Some(libc::EMFILE) => {
                let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
                format!("; this process may open {limit} files: raise ulimit -n or LimitNOFILE=")
            }
            Some(libc::ENFILE) => "; the machine has no descriptors left: raise fs.file-max".into(),
            Some(libc::EAGAIN) if matches!(self, StartError::Thread(_)) => {
                "; raise ulimit -u or TasksMax=, or lower --workers".into()
            }
            _ => String::new(),
        }
    }

    /// The errno of the system call that failed, if one did.
    fn errno(&self) -> Option<i32> {
        let first: &(dyn Error + 'static) = self;
        let mut chain = iter::successors(Some(first), |&error| error.source());
        chain.find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
    }
}

/// How long the threads may take to end, once the drain is over.
const FORCE_CLOSE_TIME: Duration = Duration::from_secs(5);
