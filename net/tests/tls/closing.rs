//! How connections end.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;

use heist_net::Transport;
use heist_net::server::Limits;

use crate::client::{Client, ClientOptions, rest};
use crate::common::GUARD;
use crate::stage::Stage;

/// The bytes that were read, and the error behind them.
type Report = (Vec<u8>, Option<ErrorKind>);

/// Reads to the end, and reports.
fn reader() -> (Stage, mpsc::Receiver<Report>) {
    let (report, reports) = mpsc::channel();
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        move |mut stream| {
            let report = report.clone();
            async move {
                let mut received = Vec::new();
                let mut buffer = [0; 1000];
                let end = loop {
                    match stream.read(&mut buffer).await {
                        Ok(0) => break None,
                        Ok(count) => received.extend_from_slice(&buffer[..count]),
                        Err(error) => break Some(error.kind()),
                    }
                };
                // The end stays the end.
                let again = stream.read(&mut buffer).await.map_err(|error| error.kind());
                assert_eq!(again, end.map_or(Ok(0), Err));
                report.send((received, end)).unwrap();
                if end.is_none() {
                    stream.write_all(b"received").await?;
                    stream.finish().await?;
                }
                Ok(())
            }
        },
    );
    (stage, reports)
}

#[test]
fn half_closed_connection_is_answered_and_closed_in_order() {
    let (stage, reports) = reader();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.write_all(b"all").unwrap();
    client.close_notify();
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reports.recv_timeout(GUARD).unwrap(), (b"all".to_vec(), None));
    // `read_to_string` fails without the server's close_notify.
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "received");
}

#[test]
fn truncated_stream_is_told_from_a_finished_one() {
    let (stage, reports) = reader();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.write_all(&[7; 3000]).unwrap();
    client.socket.shutdown(Shutdown::Write).unwrap();
    let report = reports.recv_timeout(GUARD).unwrap();
    assert_eq!(report, (vec![7; 3000], Some(ErrorKind::UnexpectedEof)));
}

#[test]
fn record_that_is_cut_off_is_a_truncated_stream() {
    let (stage, reports) = reader();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.handshake().unwrap();
    client.tls.writer().write_all(b"never complete").unwrap();
    let record = client.outgoing();
    client.socket.write_all(&record[..record.len() - 1]).unwrap();
    client.socket.shutdown(Shutdown::Write).unwrap();
    let report = reports.recv_timeout(GUARD).unwrap();
    assert_eq!(report, (Vec::new(), Some(ErrorKind::UnexpectedEof)));
}

#[test]
fn data_and_end_in_one_segment_with_the_handshake_are_read() {
    let (stage, reports) = reader();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.receive_handshake();
    client.tls.writer().write_all(&[9; 20_000]).unwrap();
    client.tls.send_close_notify();
    let all = client.outgoing();
    client.socket.write_all(&all).unwrap();
    client.socket.shutdown(Shutdown::Write).unwrap();
    let report = reports.recv_timeout(GUARD).unwrap();
    assert_eq!(report, (vec![9; 20_000], None));
}

#[test]
fn changed_record_ends_the_connection_with_an_alert() {
    // Behind the handshake, and in one segment with its last flight.
    for together in [false, true] {
        let (stage, reports) = reader();
        let config = ClientOptions::default().config(&stage.authority);
        let mut client = Client::new(&stage.server, &config, "localhost");
        client.receive_handshake();
        if !together {
            client.push();
        }
        client.tls.writer().write_all(b"to be changed").unwrap();
        let mut bytes = client.outgoing();
        *bytes.last_mut().unwrap() ^= 1;
        client.socket.write_all(&bytes).unwrap();
        let (received, end) = reports.recv_timeout(GUARD).unwrap();
        assert_eq!((received, end), (Vec::new(), Some(ErrorKind::InvalidData)));
        let error = client.read(&mut [0]).unwrap_err();
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&alert), "{error}");
        assert_eq!(stage.metrics().completed(), 1);
    }
}

#[test]
fn dropped_connection_is_not_taken_for_a_finished_one() {
    let stage = Stage::with(
        |config| config,
        Limits::default(),
        |mut stream| async move { stream.write_all(b"half of").await },
    );
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    let mut answer = Vec::new();
    let error = client.read_to_end(&mut answer).unwrap_err();
    assert_eq!((error.kind(), &answer[..]), (ErrorKind::UnexpectedEof, &b"half of"[..]));
}

#[test]
fn socket_ends_behind_close_notify() {
    let (stage, _reports) = reader();
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.handshake().unwrap();
    client.close_notify();
    // The bytes as they are: the answer, the alert, and then the end of the stream.
    let bytes = rest(&mut client.socket);
    assert!(!bytes.is_empty());
}
