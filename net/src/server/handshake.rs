//! The task of a connection whose service begins behind a layer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_scheduler::time::{Instant, Timer};

use super::handler::LOOKS;
use super::serve::Accepted;
use crate::connection::close_reason::CloseReason;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::permit::ConnectionPermit;
use crate::socket::peer::Peer;

pin_project_lite::pin_project! {
    /// The task of one connection: the handshake `H` of what comes before the service, then the
    /// service's own task `F`, which `B` makes.
    ///
    /// It bounds the time of the handshake, ends it with a drain and a forced close, and contains its
    /// panics. The handshake is in a box, so that a connection is not larger for having had one.
    pub(super) struct HandshakeTask<H, B, F> {
        #[pin]
        stage: Stage<H, B, F>,
        // `None` once the service's task has it. Behind the stage: it is released only after the socket
        // is closed.
        permit: Option<ConnectionPermit>,
    }
}

pin_project_lite::pin_project! {
    #[project = StageProjection]
    enum Stage<H, B, F> {
        Handshake { handshake: Pin<Box<Handshake<H, B>>> },
        Serving { #[pin] task: F },
        Over,
    }
}

pin_project_lite::pin_project! {
    /// A handshake, and what is made of its outcome.
    struct Handshake<H, B> {
        #[pin]
        future: H,
        // `None` once it has begun the service.
        begin: Option<B>,
        peer: Peer,
        drain: DrainSignal,
        // Until when it may take; `None` before the first poll.
        deadline: Option<Deadline>,
        timer: Timer,
        // How often it was polled since its time was over.
        looks: u8,
        limits: TimeLimits,
    }
}

/// When a handshake ends that has not come to its end.
struct Deadline {
    at: Instant,
    /// The server drains, and the peer has sent no request in the time that is left for one.
    draining: bool,
}

/// The bounds on the time of one handshake.
struct TimeLimits {
    ends: Instant,
    drain_linger: Duration,
}

impl<H, B, F, T> HandshakeTask<H, B, F>
where
    H: Future<Output = Result<Accepted<T>, CloseReason>>,
    B: FnOnce(ConnectionPermit, Accepted<T>) -> F,
    F: Future,
{
    /// `handshake` makes of an accepted connection what `begin` serves.
    pub(super) fn new<M>(
        permit: ConnectionPermit,
        accepted: Accepted,
        handshake: M,
        begin: B,
    ) -> HandshakeTask<H, B, F>
    where
        M: FnOnce(Accepted) -> H,
    {
        let limits = accepted.server.limits();
        let limits = TimeLimits {
            ends: accepted.accepted_at + limits.handshake_timeout,
            drain_linger: limits.drain_linger,
        };
        let handshake = Handshake {
            begin: Some(begin),
            peer: accepted.peer.clone(),
            drain: permit.drain_signal(),
            deadline: None,
            timer: Timer::new(),
            looks: 0,
            limits,
            future: handshake(accepted),
        };
        let stage = Stage::Handshake { handshake: Box::pin(handshake) };
        HandshakeTask { stage, permit: Some(permit) }
    }
}

impl<H, B, F, T> Future for HandshakeTask<H, B, F>
where
    H: Future<Output = Result<Accepted<T>, CloseReason>>,
    B: FnOnce(ConnectionPermit, Accepted<T>) -> F,
    F: Future,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let StageProjection::Handshake { handshake } = this.stage.as_mut().project() {
            let permit = this.permit.as_mut().expect(HAS_PERMIT);
            let outcome = ready!(permit.guard(|permit| handshake.as_mut().poll(cx, permit)));
            let begin = handshake.as_mut().project().begin.take();
            if let Err(reason) = &outcome {
                let peer = &handshake.peer;
                tracing::debug!(%peer, %reason, "a handshake failed");
            }
            this.stage.set(Stage::Over);
            let mut permit = this.permit.take().expect(HAS_PERMIT);
            match outcome {
                Err(reason) => {
                    permit.close(reason.kind());
                    return Poll::Ready(());
                }
                Ok(accepted) => {
                    let begin = begin.expect("a handshake ends once");
                    this.stage.set(Stage::Serving { task: begin(permit, accepted) });
                }
            }
        }
        match this.stage.project() {
            StageProjection::Serving { task } => task.poll(cx).map(drop),
            StageProjection::Handshake { .. } | StageProjection::Over => {
                unreachable!("a task that is over is not polled again")
            }
        }
    }
}

impl<H, B, T> Handshake<H, B>
where
    H: Future<Output = Result<Accepted<T>, CloseReason>>,
{
    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        permit: &ConnectionPermit,
    ) -> Poll<Result<Accepted<T>, CloseReason>> {
        let this = self.project();
        if this.deadline.is_none() {
            permit.set_task(cx.waker());
        }
        if permit.is_force_closed() {
            return Poll::Ready(Err(CloseReason::Cancelled));
        }
        let draining = this.drain.poll_draining(cx).is_ready();
        let deadline =
            this.deadline.get_or_insert(Deadline { at: this.limits.ends, draining: false });
        if draining && !deadline.draining {
            let linger = Instant::of_poll() + this.limits.drain_linger;
            *deadline = Deadline { at: deadline.at.min(linger), draining: true };
        }
        this.timer.set(Some(deadline.at));
        if let Poll::Ready(outcome) = this.future.poll(cx) {
            return Poll::Ready(outcome);
        }
        ready!(this.timer.poll_elapsed(cx));
        // The event of bytes that came in time may still be in the queue.
        if *this.looks < LOOKS {
            *this.looks += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Err(match deadline.draining {
            true => CloseReason::IdleDrained,
            false => CloseReason::HandshakeTimeout,
        }))
    }
}

const HAS_PERMIT: &str = "a handshake has a permit until it ends";
