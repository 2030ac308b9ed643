//! HTTP/2 on a `Server`, over real sockets, with frames that are written by hand.

mod accounts;
mod busy;
mod client;
mod deadlines;
mod drain;
mod floods;
mod layers;
mod requests;
#[path = "../http_server/site.rs"]
#[allow(dead_code, reason = "the tests of HTTP/1 need more of it")]
mod site;
mod streams;

use heist_net::http::Http;
use heist_net::server::{Limits, Serve};

use site::Site;

/// A site that serves HTTP/2 to those who know it.
pub(crate) fn site<S>(limits: Limits, service: S) -> Site
where
    Http<S>: Serve,
{
    Site::serving(|_| false, limits, Http::new(service).prior_knowledge(true))
}
