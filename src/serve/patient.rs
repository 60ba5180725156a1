//! A connection whose client has to read: what is sent and not taken for too long ends it.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Bytes to and from a client. **Law.** While something is to be sent, the client takes a byte of it now and then, or this
/// fails.
pub(super) struct Patient<Io> {
    io: Io,
    patience: Duration,
    /// Since the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<Io> Patient<Io> {
    pub(super) fn new(io: Io, patience: Duration) -> Patient<Io> {
        Patient { io, patience, stalled: None }
    }

    /// What became of an attempt to send.
    fn judged<T>(&mut self, context: &mut Context<'_>, sent: Poll<Result<T>>) -> Poll<Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<Io: Read + Unpin> Read for Patient<Io> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: ReadBufCursor<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.io).poll_read(context, to)
    }
}

impl<Io: Write + Unpin> Write for Patient<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judged(context, sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = Pin::new(&mut self.io).poll_flush(context);
        self.judged(context, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = Pin::new(&mut self.io).poll_shutdown(context);
        self.judged(context, sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Waker;

    /// Takes so many bytes, and then none.
    struct Slow(usize);

    impl Write for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn who_takes_nothing_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let mut patient = Patient::new(Slow(3), Duration::from_millis(1));
            let mut context = Context::from_waker(Waker::noop());
            let sent = Pin::new(&mut patient).poll_write(&mut context, b"four");
            assert!(matches!(sent, Poll::Ready(Ok(3))));
            assert!(Pin::new(&mut patient).poll_write(&mut context, b"r").is_pending(), "it may still read");
            let over = poll_fn(|context| Pin::new(&mut patient).poll_write(context, b"r")).await;
            assert_eq!(over.expect_err("it does not").kind(), ErrorKind::TimedOut);
            // Another one that reads now and then has time again.
            patient = Patient::new(Slow(0), Duration::from_secs(3600));
            assert!(Pin::new(&mut patient).poll_write(&mut context, b"r").is_pending());
            patient.io.0 = 1;
            assert!(matches!(Pin::new(&mut patient).poll_write(&mut context, b"r"), Poll::Ready(Ok(1))));
            assert!(patient.stalled.is_none());
        });
    }
}
