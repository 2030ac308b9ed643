//! Which account a connection is charged to, and which is refused in overload.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use heist_net::protocol::{self, Context, Protocol};
use heist_net::server::{
    Accepted, Accounts, Builder, CloseReason, Limits, NoService, Peer, Refusal, Serve,
};
use heist_net::{Server, Stream};
use heist_scheduler::{Account, OverloadLevel, Weight, account, spawn};

use crate::stage::{Client, Stage, server, until};

/// Writes the account of its task.
async fn tell(mut stream: Stream) -> std::io::Result<()> {
    let inherited = spawn(async { account() }).await?;
    assert_eq!(inherited, account(), "a task has the account of its spawner");
    stream.write_all(format!("{:?}\n", account()).as_bytes()).await
}

/// Writes the account of its task.
struct Tell;

impl Protocol for Tell {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.write(format!("{:?}\n", account()).as_bytes());
        cx.close();
    }

    fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, protocol::Error> {
        Ok(input.len())
    }
}

/// What the connection of a client is told, whose proxy says that it has this address.
fn told(server: &Server, address: &str) -> String {
    let mut client = Client::new(server);
    client.send(&format!("PROXY TCP6 {address} ::1 4321 80\r\n"));
    client.rest()
}

fn behind_proxy(accounts: Accounts) -> Builder<NoService> {
    let proxy = ["127.0.0.1".parse().unwrap()];
    server(Limits::default()).proxy_protocol(proxy).accounts(accounts)
}

#[test]
fn each_way_of_serving_has_the_account_of_its_connection() {
    let stage = Stage::new();
    let tenant = Account::shared("tenant").with_weight(Weight::times(2));
    let builder = || server(Limits::default()).accounts(Accounts::by(move |_| tenant));
    fn start(stage: &Stage, builder: Builder<impl Serve>) -> Server {
        builder.start_on(stage.runtime.handle()).unwrap()
    }
    let accepted = |accepted: Accepted| async {
        tell(accepted.stream).await.map_or_else(CloseReason::from, |()| CloseReason::Finished)
    };
    let servers = [
        start(&stage, builder().handler(|stream, _| tell(stream))),
        start(&stage, builder().accepted(accepted)),
        start(&stage, builder().protocol(|_: &Peer| Tell)),
        start(&stage, builder().protocol_with_inbox(|_: &Peer, _| Tell)),
    ];
    for server in &servers {
        assert_eq!(Client::new(server).rest(), format!("{tenant:?}\n"));
    }
}

#[test]
fn connections_have_accounts_of_their_own_unless_told_otherwise() {
    let stage = Stage::new();
    for accounts in [None, Some(Accounts::per_connection().weight(Weight::FIRST))] {
        let weight = accounts.as_ref().map_or(Weight::NORMAL, |_| Weight::FIRST);
        let builder = server(Limits::default()).accounts(accounts.unwrap_or_default());
        let server = builder.handler(|stream, _| tell(stream));
        let server = server.start_on(stage.runtime.handle()).unwrap();
        let told: HashSet<_> = (0..8).map(|_| Client::new(&server).rest()).collect();
        assert_eq!(told.len(), 8, "{told:?}");
        let weight = format!("{weight:?}");
        assert!(told.iter().all(|account| account.contains(&weight)), "{told:?}");
    }
}

/// Failure: a client had as many accounts as it opened connections, or as it has addresses of IPv6; or all
/// clients of a proxy had one.
#[test]
fn account_of_an_address_is_that_of_the_client_behind_a_proxy() {
    let stage = Stage::new();
    let server = behind_proxy(Accounts::per_peer_address()).handler(|stream, _| tell(stream));
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let first = told(&server, "2001:db8::1");
    assert_eq!(told(&server, "2001:db8::1"), first);
    assert_eq!(told(&server, "2001:db8::ffff:1"), first);
    // Two may fall together.
    let others: HashSet<_> =
        (1..20).map(|network| told(&server, &format!("2001:db8:0:{network}::1"))).collect();
    assert!(others.len() > 10, "{others:?}");
}

#[test]
fn account_by_a_function_is_asked_for_once_and_of_the_client() {
    let stage = Stage::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let asks = Arc::clone(&asked);
    let accounts = Accounts::by(move |peer| {
        asks.lock().unwrap().push(peer.to_string());
        Account::shared(&peer.ip())
    });
    let server = behind_proxy(accounts).protocol(|_: &Peer| Tell);
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let expected: std::net::IpAddr = "2001:db8::1".parse().unwrap();
    let expected = Account::shared(&Some(expected));
    assert_eq!(told(&server, "2001:db8::1"), format!("{expected:?}\n"));
    assert_eq!(*asked.lock().unwrap(), ["[2001:db8::1]:4321"]);
}

#[test]
fn function_that_panics_leaves_the_connection_an_account_of_its_own() {
    let stage = Stage::new();
    let accounts = Accounts::by(|_| panic!("no account (expected)"));
    let builder = server(Limits::default()).accounts(accounts);
    let server = builder.handler(|stream, _| tell(stream));
    let server = server.start_on(stage.runtime.handle()).unwrap();
    let [first, second] = [(); 2].map(|()| Client::new(&server).rest());
    assert!(!first.is_empty() && first != second, "{first} {second}");
    assert_eq!(stage.runtime.handle().metrics().caught_panics, 2);
}

/// Works for a second where it is asked to, and says that it has.
async fn work(mut stream: Stream, stage: Arc<Stage>) -> std::io::Result<()> {
    let mut line = [0; 5];
    stream.read_exact(&mut line).await?;
    if &line == b"work\n" {
        stage.advance(Duration::from_secs(1));
    }
    stream.write_all(b"done\n").await
}

/// A server whose overload is at the level that the test sets.
fn working(stage: &Arc<Stage>, builder: Builder<NoService>) -> (Server, Arc<Mutex<OverloadLevel>>) {
    let level = Arc::new(Mutex::new(OverloadLevel::None));
    let (asked, works) = (Arc::clone(&level), Arc::clone(stage));
    let server = builder
        .overloaded_by(move |_| *asked.lock().unwrap())
        .handler(move |stream, _| work(stream, Arc::clone(&works)))
        .start_on(stage.runtime.handle())
        .unwrap();
    (server, level)
}

fn ask(server: &Server, front: &str, line: &str) -> String {
    let mut client = Client::new(server);
    // It may be refused meanwhile.
    let _ = client.0.write_all(format!("{front}{line}").as_bytes());
    client.rest()
}

/// Failure: in overload the connection of a client that uses little was refused for what another does.
#[test]
fn connections_of_heavy_clients_are_refused_first() {
    let stage = Arc::new(Stage::new());
    let (server, level) = working(&stage, behind_proxy(Accounts::per_peer_address()));
    // Of a network of its own each; none of these falls together with the first, as they are not refused.
    let front = |network: u32| format!("PROXY TCP6 2001:db8:0:{network}::1 ::1 4321 80\r\n");
    assert_eq!(ask(&server, &front(0), "work\n"), "done\n");
    *level.lock().unwrap() = OverloadLevel::Begun;
    assert_eq!(ask(&server, &front(0), "rest\n"), "");
    let served = (1..20).filter(|&network| ask(&server, &front(network), "rest\n") == "done\n");
    assert!(served.count() > 10);
    let refused = server.metrics().refused_for(Refusal::Overload);
    assert!((1..10).contains(&refused), "{refused}");
    *level.lock().unwrap() = OverloadLevel::Standing;
    (0..20).for_each(|network| assert_eq!(ask(&server, &front(network), "rest\n"), ""));
}

/// Failure: a flood of connections that nothing is known of was let in where overload had begun.
#[test]
fn connection_of_which_nothing_is_known_is_refused_unless_it_goes_first() {
    let stage = Arc::new(Stage::new());
    let first = Accounts::per_connection().weight(Weight::FIRST);
    let front = "PROXY TCP6 2001:db8::1 ::1 4321 80\r\n";
    let direct = |accounts| (server(Limits::default()).accounts(accounts), "");
    let proxied = |accounts| (behind_proxy(accounts), front);
    for ((builder, front), begun) in [
        (direct(Accounts::per_connection()), ""),
        (direct(first.clone()), "done\n"),
        (proxied(Accounts::per_connection()), ""),
        (proxied(first), "done\n"),
    ] {
        let (server, level) = working(&stage, builder);
        for (now, answer) in [
            (OverloadLevel::None, "done\n"),
            (OverloadLevel::Begun, begun),
            (OverloadLevel::Standing, ""),
        ] {
            *level.lock().unwrap() = now;
            assert_eq!(ask(&server, front, "rest\n"), answer, "{front:?} {now:?}");
        }
    }
}

/// Failure: the header of a proxy was waited for by connections that are refused whatever it says.
#[test]
fn connection_of_a_proxy_is_refused_before_its_header_unless_that_decides() {
    let stage = Arc::new(Stage::new());
    let (server, level) = working(&stage, behind_proxy(Accounts::per_connection()));
    *level.lock().unwrap() = OverloadLevel::Begun;
    Client::new(&server).assert_closed();
    let (server, level) = working(&stage, behind_proxy(Accounts::per_peer_address()));
    *level.lock().unwrap() = OverloadLevel::Standing;
    Client::new(&server).assert_closed();
    until(|| server.metrics().refused_for(Refusal::Overload) == 1);
}
