//! A network that can be cut: connections between two processes go over it, and nothing comes through while it is cut.
//!
//! Nobody is told of the cut, as with a network that loses packets: connections stand, new ones seem to come about, and
//! all stays silent. When it is mended, what was sent meanwhile arrives, as it does when TCP repeats it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::tables::block_on;

/// Bytes that are taken over at a time.
const CHUNK: usize = 16 << 10;

/// One way to one server. It ends with this value.
pub struct Link {
    address: SocketAddr,
    whole: watch::Sender<bool>,
    abandoned: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Link {
    /// A link that listens at `at` (with port 0: any) and ends at a server.
    pub fn new(at: SocketAddr, server: SocketAddr) -> Self {
        let (whole, state) = watch::channel(true);
        let abandoned = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&abandoned);
        let (address, server) = block_on(async move {
            let listener = TcpListener::bind(at).await.expect("the address is free");
            let address = listener.local_addr().expect("it has an address");
            (address, tokio::spawn(serve(listener, server, state, counter)))
        });
        Self { address, whole, abandoned, server }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing through from now on.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// How many connections their clients gave up while they waited for what the cut held back.
    pub fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, server: SocketAddr, whole: watch::Receiver<bool>, abandoned: Arc<AtomicUsize>) {
    while let Ok((near, _)) = listener.accept().await {
        let (mut whole, abandoned) = (whole.clone(), Arc::clone(&abandoned));
        tokio::spawn(async move {
            let far = TcpStream::connect(server).await?;
            far.set_nodelay(true)?;
            near.set_nodelay(true)?;
            let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
            let mut back = whole.clone();
            let there = pump(&mut near_in, &mut far_out, &mut whole, Some(&abandoned));
            let back = pump(&mut far_in, &mut near_out, &mut back, None);
            // Either end that breaks ends both; that is no fault of the link.
            tokio::try_join!(there, back).map(drop)
        });
    }
}

async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    whole: &mut watch::Receiver<bool>,
    abandoned: Option<&AtomicUsize>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        let is_whole = *whole.borrow();
        if !is_whole {
            tokio::select! {
                whole = whole.wait_for(|whole| *whole) => drop(whole.map_err(io::Error::other)?),
                () = closed(from), if read > 0 => {
                    abandoned.map(|count| count.fetch_add(1, Ordering::SeqCst));
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
        match read {
            0 => return to.shutdown().await,
            read => to.write_all(&chunk[..read]).await?,
        }
    }
}

/// Waits until the other end has closed the connection. It is not noticed behind data that was not read.
async fn closed(from: &mut OwnedReadHalf) {
    if matches!(from.peek(&mut [0]).await, Ok(1..)) {
        std::future::pending().await
    }
}
