//! A layer that chooses the account of each request.

use std::fmt;
use std::task::{Context, Poll};

use heist_scheduler::{Account, set_account};
use hyper::Request;
use tower_layer::Layer;
use tower_service::Service;

/// A layer of tower that charges each request to an account of its own choice, such as that of a tenant
/// which a header names, or of a route.
///
/// The function is given the request, and gives the account or `None` for that of the connection. It holds
/// from then on until the answer is complete; the next request of the connection begins on the account of
/// the connection again. Tasks that the handler spawns inherit it.
///
/// Over HTTP/1 the connection's task is queued by this account while the request is served. Over HTTP/2 all
/// streams share the connection's task, which is queued by the connection's account; what the code of a
/// stream does is charged to the account of that stream.
///
/// Outside of a task of heist, as in a test by `oneshot`, it does nothing.
///
/// ```
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::routing::get;
/// use heist::task::Account;
/// use heist_axum::AccountLayer;
///
/// let by_tenant = AccountLayer::new(|request: &Request| {
///     request.headers().get("x-tenant").map(|tenant| Account::shared(tenant))
/// });
/// let router: Router = Router::new().route("/", get(async || "hello\n")).layer(by_tenant);
/// # drop(router);
/// ```
#[derive(Clone, Copy)]
pub struct AccountLayer<F> {
    account: F,
}

impl<F> AccountLayer<F> {
    /// Chooses by `account`, which is called once a request and must not block.
    pub fn new<B>(account: F) -> AccountLayer<F>
    where
        F: Fn(&Request<B>) -> Option<Account>,
    {
        AccountLayer { account }
    }
}

impl<S, F: Clone> Layer<S> for AccountLayer<F> {
    type Service = AccountService<S, F>;

    fn layer(&self, service: S) -> AccountService<S, F> {
        AccountService { service, account: self.account.clone() }
    }
}

impl<F> fmt::Debug for AccountLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountLayer")
    }
}

/// A service below an [`AccountLayer`].
#[derive(Clone, Copy)]
pub struct AccountService<S, F> {
    service: S,
    account: F,
}

impl<S, F, B> Service<Request<B>> for AccountService<S, F>
where
    S: Service<Request<B>>,
    F: Fn(&Request<B>) -> Option<Account>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        if let Some(account) = (self.account)(&request) {
            set_account(account);
        }
        self.service.call(request)
    }
}

impl<S: fmt::Debug, F> fmt::Debug for AccountService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountService").field("service", &self.service).finish_non_exhaustive()
    }
}
