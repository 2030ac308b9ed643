//! A contender that is started afresh for every visit.

use std::net::SocketAddr;
use std::process::Command;

use crate::measure::bench::Bench;
use crate::measure::figures::Fault;
use crate::measure::program::{Program, free_address};
use crate::peers::{Peer, certificate};
use crate::placement::Placement;

/// Which contender, how large, and where.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    pub(crate) peer: Peer,
    pub(crate) workers: usize,
    pub(crate) placement: Placement,
    /// A variable that is set for it.
    pub(crate) variable: Option<&'static str>,
}

impl Server {
    /// Placement (a): one worker on a CPU of its own.
    pub(crate) fn apart(peer: Peer) -> Server {
        Server { peer, workers: 1, placement: Placement::Apart, variable: None }
    }

    /// Placement (b): so many workers, on every CPU as the load is.
    pub(crate) fn together(peer: Peer, workers: usize) -> Server {
        Server { peer, workers, placement: Placement::Together, variable: None }
    }

    pub(crate) fn with(self, variable: &'static str) -> Server {
        Server { variable: Some(variable), ..self }
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&self, bench: &Bench) -> Result<(Program, SocketAddr), Fault> {
        self.start_under(bench, &[])
    }

    /// The same, as an argument of another program: `valgrind`.
    pub(crate) fn start_under(
        &self,
        bench: &Bench,
        wrapper: &[String],
    ) -> Result<(Program, SocketAddr), Fault> {
        let address = free_address()?;
        let mut words = wrapper.to_vec();
        words.push(self.peer.path(bench)?.display().to_string());
        words.extend(match self.peer {
            Peer::Nginx | Peer::NginxTls => self.nginx(bench, address)?,
            Peer::HeistTls | Peer::TokioHyperTls => {
                let [certificate, key] = certificate(bench);
                vec![self.workers.to_string(), address.to_string(), certificate, key]
            }
            _ => vec![self.workers.to_string(), address.to_string()],
        });
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(self.variable.map(|name| (name, "1")));
        if !wrapper.is_empty() {
            command.stderr(std::process::Stdio::null());
        }
        let mut program = Program::start(&mut command, &self.placement.cpus(&bench.machine).0)?;
        program.wait_for(address)?;
        Ok((program, address))
    }

    /// Writes nginx' configuration, and returns its arguments.
    fn nginx(&self, bench: &Bench, address: SocketAddr) -> Result<Vec<String>, Fault> {
        let folder = bench.folder.join("nginx");
        let file = folder.join("nginx.conf");
        let [certificate, key] = certificate(bench);
        let tls = NGINX_TLS.replace("CERTIFICATE", &certificate).replace("KEY", &key);
        let (listen, tls) = match self.peer {
            Peer::NginxTls => ("ssl http2", &tls[..]),
            _ => ("", ""),
        };
        let text = NGINX
            .replace("LISTEN", listen)
            .replace("TLS", tls)
            .replace("WORKERS", &self.workers.to_string())
            .replace("ADDRESS", &address.to_string())
            .replace("FOLDER", &folder.display().to_string());
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text));
        written.map_err(Fault::of(format!("writing {}", file.display())))?;
        let [folder, file] = [folder, file].map(|path| path.display().to_string());
        Ok(vec!["-p".into(), folder, "-c".into(), file, "-e".into(), "stderr".into()])
    }
}

/// One answer for everything, without a log, as its documentation advises for speed.
const NGINX: &str = "daemon off;
worker_processes WORKERS;
error_log stderr crit;
pid FOLDER/pid;
events { worker_connections 20000; multi_accept on; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    tcp_nodelay on;
    server_tokens off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    server {
        listen ADDRESS LISTEN reuseport backlog=4096;
        TLS
        location / { default_type text/plain; return 200 'Hello, World!'; }
        location /close { keepalive_timeout 0; default_type text/plain; return 200 'Hello, World!'; }
    }
}
";
/// TLS as the others have it: a ticket after each handshake, which is what heist sends.
const NGINX_TLS: &str =
    "ssl_certificate CERTIFICATE; ssl_certificate_key KEY; ssl_protocols TLSv1.2 TLSv1.3;
        ssl_conf_command NumTickets 1;";
