//! The example `chat` on tokio's multi-threaded runtime: the same lobby, delivered in the same way,
//! as far as the load asks for it.
//!
//! `chat_tokio WORKERS ADDRESS`

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

type Text = Arc<[u8]>;

struct Person {
    id: u64,
    inbox: Sender<Text>,
    missed: AtomicBool,
}

#[derive(Default)]
struct Room(Mutex<State>);

#[derive(Default)]
struct State {
    members: Arc<Vec<Arc<Person>>>,
    pending: Vec<u8>,
    delivering: bool,
}

impl Room {
    fn post(self: &Arc<Room>, line: &str) -> bool {
        let mut state = self.0.lock().unwrap();
        if state.pending.len() + line.len() > 16 * 1024 {
            return false;
        }
        state.pending.extend_from_slice(line.as_bytes());
        if !mem::replace(&mut state.delivering, true) {
            drop(state);
            tokio::spawn(deliver(Arc::clone(self)));
        }
        true
    }

    fn next_batch(&self) -> Option<(Text, Arc<Vec<Arc<Person>>>)> {
        let mut state = self.0.lock().unwrap();
        if state.pending.is_empty() {
            state.delivering = false;
            return None;
        }
        Some((mem::take(&mut state.pending).into(), Arc::clone(&state.members)))
    }
}

async fn deliver(room: Arc<Room>) {
    while let Some((text, members)) = room.next_batch() {
        for few in members.chunks(64) {
            for member in few.iter().filter(|member| !member.missed.load(Ordering::Relaxed)) {
                if let Err(TrySendError::Full(_)) = member.inbox.try_send(Arc::clone(&text)) {
                    member.missed.store(true, Ordering::Relaxed);
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(mut stream: TcpStream, room: Arc<Room>) {
    static EVER: AtomicU64 = AtomicU64::new(0);
    let id = EVER.fetch_add(1, Ordering::Relaxed) + 1;
    let (inbox, news) = channel(32);
    let person = Arc::new(Person { id, inbox, missed: AtomicBool::new(false) });
    let greeting = format!("Welcome, guest{id}.\nYou are in lobby.\n");
    if stream.write_all(greeting.as_bytes()).await.is_ok() {
        Arc::make_mut(&mut room.0.lock().unwrap().members).push(Arc::clone(&person));
        let _ = talk(&mut stream, news, &person, &room).await;
        let members = &mut room.0.lock().unwrap().members;
        Arc::make_mut(members).retain(|member| member.id != id);
    }
}

async fn talk(
    stream: &mut TcpStream,
    mut news: Receiver<Text>,
    person: &Person,
    room: &Arc<Room>,
) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    let (mut input, mut output, mut batch) = (Vec::with_capacity(2048), Vec::new(), Vec::new());
    loop {
        tokio::select! {
            count = reader.read_buf(&mut input) => {
                if count? == 0 {
                    return Ok(());
                }
                take_lines(&mut input, &mut output, person, room);
            }
            _ = news.recv_many(&mut batch, 32) => {
                batch.drain(..).for_each(|text| output.extend_from_slice(&text));
            }
        }
        if person.missed.load(Ordering::Relaxed) {
            return Ok(());
        }
        tokio::time::timeout(Duration::from_secs(10), writer.write_all(&output)).await??;
        output.clear();
    }
}

fn take_lines(input: &mut Vec<u8>, output: &mut Vec<u8>, person: &Person, room: &Arc<Room>) {
    let mut taken = 0;
    while let Some(end) = input[taken..].iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8_lossy(&input[taken..taken + end]);
        if !room.post(&format!("guest{}: {line}\n", person.id)) {
            output.extend_from_slice(b"! too much is being said here; that was not\n");
        }
        taken += end + 1;
    }
    input.drain(..taken);
}

fn main() -> std::io::Result<()> {
    let (workers, address) = heist_peers::arguments();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(32 * 1024)?;
        socket.set_nodelay(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        let room = Arc::new(Room::default());
        let accepting = tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&room)));
                }
            }
        });
        accepting.await.map_err(std::io::Error::other)
    })
}
