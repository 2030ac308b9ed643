//! lapin's runtime kit over heist, against a real RabbitMQ.

use std::fs;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::{Task, TaskImpl};
use futures::io::{AsyncRead, AsyncWrite};
use futures::{Stream, StreamExt, stream};
use heist::net::{Driver, Source, TcpStream};
use heist::reactor::{Direction, Interest, Kind};
use heist::time::{self, Sleep};
use heist::{Handle, JoinHandle};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rustix::process::{Pid, Signal, kill_process};

use crate::run;

const MESSAGES: usize = 1000;

#[test]
fn lapin_publishes_and_consumes_on_heist() {
    let Some(server) = RabbitMq::start("lapin_publishes_and_consumes_on_heist") else { return };
    let uri = format!("amqp://127.0.0.1:{}/%2f", server.port);
    run(async move {
        let runtime = async_rs::Runtime::new(Kit(Handle::current()));
        let properties = ConnectionProperties::default();
        let connection = Connection::connect_with_runtime(&uri, properties, runtime).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let queue = QueueDeclareOptions::default();
        channel.queue_declare("work".into(), queue, FieldTable::default()).await.unwrap();
        let consumer = BasicConsumeOptions::default();
        let mut deliveries = channel
            .basic_consume("work".into(), "test".into(), consumer, FieldTable::default())
            .await
            .unwrap();
        let consumer = heist::spawn(async move {
            for number in 0..MESSAGES {
                let delivery = deliveries.next().await.unwrap().unwrap();
                assert_eq!(delivery.data, number.to_string().as_bytes());
                delivery.ack(BasicAckOptions::default()).await.unwrap();
            }
        });
        for number in 0..MESSAGES {
            let confirmed = channel
                .basic_publish(
                    "".into(),
                    "work".into(),
                    BasicPublishOptions::default(),
                    number.to_string().as_bytes(),
                    BasicProperties::default(),
                )
                .await
                .unwrap();
            assert!(confirmed.await.unwrap().is_ack());
        }
        consumer.await.unwrap();
        connection.close(200, "done".into()).await.unwrap();
    });
}

/// Tasks, timers and sockets of a runtime of heist, for crates on async-rs.
#[derive(Clone, Debug)]
struct Kit(Handle);

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = KitTask<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<KitTask<T>> {
        KitTask(self.0.spawn(future)).into()
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<KitTask<T>> {
        KitTask(self.0.spawn_blocking(work)).into()
    }
}

/// A task whose panic goes on in the task that awaits it.
struct KitTask<T>(JoinHandle<T>);

impl<T> Future for KitTask<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(value) => Poll::Ready(value),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => panic!("{error}"),
            },
        }
    }
}

#[async_trait::async_trait]
impl<T: Send + 'static> TaskImpl for KitTask<T> {
    async fn cancel(&mut self) -> Option<T> {
        self.0.abort();
        (&mut self.0).await.ok()
    }
}

impl Reactor for Kit {
    type TcpStream = TcpStream;
    type Sleep = Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        handle: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        let driver = Driver::of(&self.0).expect("the runtime has an event queue");
        // The source owns what it watches, and the handle is written to by `&mut`.
        let watched = handle.as_fd().try_clone_to_owned()?;
        let source = driver.register(watched, Interest::None, Kind::Other)?;
        Ok(Registered { source, handle })
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let _inside = self.0.enter();
        time::sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        let _inside = self.0.enter();
        stream::unfold(time::interval(period), |mut interval| async {
            interval.tick().await;
            Some((Instant::now(), interval))
        })
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<TcpStream>> + Send + 'static {
        TcpStream::connect(address)
    }
}

struct Registered<H> {
    source: Source<OwnedFd>,
    handle: H,
}

impl<H> Unpin for Registered<H> {}

impl<H: Read> AsyncRead for Registered<H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Registered { source, handle } = &mut *self;
        source.poll_io(Direction::Read, cx, |_| handle.read(buffer))
    }
}

impl<H: Write> AsyncWrite for Registered<H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Registered { source, handle } = &mut *self;
        source.poll_io(Direction::Write, cx, |_| handle.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Registered { source, handle } = &mut *self;
        source.poll_io(Direction::Write, cx, |_| handle.flush())
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// A RabbitMQ of the test, in a folder of its own.
struct RabbitMq {
    process: Child,
    epmd: Child,
    folder: PathBuf,
    port: u16,
}

impl RabbitMq {
    /// Starts one, and waits until it accepts connections. `None` if it is not installed.
    fn start(test: &str) -> Option<RabbitMq> {
        let script = "/usr/lib/rabbitmq/bin/rabbitmq-server";
        if !std::path::Path::new(script).exists() {
            heist_tests::missing(test, "rabbitmq-server (Debian: rabbitmq-server)");
            return None;
        }
        let [port, distribution, names] = free_ports();
        let folder = std::env::temp_dir().join(format!("heist-rabbitmq-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let names = names.to_string();
        // Without it, the server starts one that outlives it.
        let epmd =
            Command::new("epmd").args(["-address", "127.0.0.1", "-port", &names]).spawn().unwrap();
        let mut process = Command::new(script)
            .env("HOME", &folder)
            .env("ERL_EPMD_PORT", &names)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("heist{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let server = RabbitMq { process, epmd, folder, port };
        await_line(output, "Server startup complete");
        Some(server)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // The script passes SIGTERM on, and ends when the server has ended.
        let script = Pid::from_child(&self.process);
        kill_process(script, Signal::TERM).expect("the server of the test is running");
        self.process.wait().expect("the server of the test ends");
        self.epmd.kill().expect("epmd is running");
        self.epmd.wait().expect("epmd ends");
        fs::remove_dir_all(&self.folder).expect("the folder of the test is removed");
    }
}

/// Waits for `line` in `output`, and has the rest read by a thread, so that its writer never waits.
fn await_line(output: BufReader<ChildStdout>, line: &'static str) {
    let (found, wait) = mpsc::channel();
    thread::spawn(move || {
        let mut seen = String::new();
        for text in output.lines().map_while(Result::ok) {
            if text.contains(line) {
                let _ = found.send(Ok(()));
            }
            seen = text;
        }
        let _ = found.send(Err(seen));
    });
    match wait.recv_timeout(START) {
        Ok(Ok(())) => {}
        Ok(Err(last)) => panic!("the server ended: {last}"),
        Err(error) => panic!("the server does not start: {error}"),
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.each_ref().map(|it| it.local_addr().unwrap().port())
}

/// A guard against a server that does not start; it takes 5 s on an idle machine.
const START: Duration = Duration::from_secs(300);
