//! What the model answers, on its way to the child.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::activity::{Failure, Flight};
use super::meter::Meter;
use super::redact::Redactor;

/// An answer that is read while it passes. Nothing is asked of the model's server while the child has something to
/// take, and when the child goes away so does the request.
#[derive(Debug)]
pub(super) struct Passing {
    pub incoming: Incoming,
    pub redactor: Redactor,
    /// None for a form that says nothing of itself.
    pub meter: Option<Meter>,
    pub flight: Flight,
    pub over: bool,
    pub _place: OwnedSemaphorePermit,
}

impl Passing {
    fn conclude(&mut self, cut: bool) {
        self.over = true;
        let Some(meter) = &self.meter else {
            return self.flight.ended(None);
        };
        let tokens = meter.tokens();
        if let Some(error) = meter.error() {
            let error = Failure::Error(self.redactor.text(error));
            self.flight.failed(error, None, tokens);
        } else if cut || !meter.finished() {
            self.flight.failed(Failure::Cut, None, tokens);
        } else {
            self.flight.succeeded(tokens);
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            let out = match Pin::new(&mut this.incoming).poll_frame(cx) {
                Poll::Pending => {
                    this.flight.taken();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    let meter = this.meter.as_mut();
                    if meter.is_none_or(|meter| meter.push(&bytes)) {
                        this.flight.heard();
                    }
                    this.redactor.push(bytes)
                }
                Poll::Ready(Some(Err(_))) => {
                    this.conclude(true);
                    let cut = io::Error::other("the model's server cut its answer off");
                    return Poll::Ready(Some(Err(cut)));
                }
                Poll::Ready(None) => {
                    this.conclude(false);
                    let rest = this.redactor.finish();
                    return Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))));
                }
            };
            if !out.is_empty() {
                this.flight.handed();
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        // Who has heard the last word need not wait for the end.
        match &self.meter {
            Some(meter) if meter.finished() && meter.error().is_none() => {
                self.flight.succeeded(meter.tokens());
            }
            Some(meter) => self.flight.ended(meter.tokens()),
            None => self.flight.ended(None),
        }
    }
}
