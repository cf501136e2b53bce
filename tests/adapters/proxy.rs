//! A way to a service whose connections end as the test says. It runs on threads of its own, so that it goes
//! on while nothing of the test's runtime does.

use socket2::SockRef;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is closed in order.
    Fin,
    /// It is reset.
    Reset,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays.
    Forward,
    /// It ends before anything is read.
    AtOnce(Ending),
    /// It ends when a request was read, which is not passed on.
    AfterRequest(Ending),
    /// It ends when a request was answered by the service, and the answer is lost.
    AfterForwarding(Ending),
    /// It ends when a request was answered.
    AfterAnswer(Ending),
    /// It ends when a second request arrives.
    AtNextRequest(Ending),
}

/// The proxy.
pub(crate) struct Proxy {
    pub(crate) url: String,
    passed_on: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    closed: Mutex<Receiver<()>>,
}

impl Proxy {
    /// A proxy whose connections have these fates, one after the other; the last one is that of all that come
    /// after it.
    pub(crate) fn start(target: &str, fates: &[Fate]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (passed_on, connections) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (tell, closed) = channel();
        let target = target.trim_start_matches("http://").to_owned();
        let (fates, counted, come) = (fates.to_vec(), passed_on.clone(), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let n = come.fetch_add(1, Ordering::SeqCst);
                let fate = fates.get(n).or(fates.last()).copied().unwrap_or(Fate::Forward);
                let connection =
                    Connection { near: stream, target: target.clone(), passed_on: counted.clone() };
                let tell = tell.clone();
                std::thread::spawn(move || connection.serve(fate, &tell));
            }
        });
        Self { url, passed_on, connections, closed: Mutex::new(closed) }
    }

    /// How many requests the service has got.
    pub(crate) fn passed_on(&self) -> usize {
        self.passed_on.load(Ordering::SeqCst)
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits, with the thread, until one more connection has ended.
    pub(crate) fn wait_until_closed(&self) {
        let closed = self.closed.lock().expect("no panic while it is held");
        closed.recv_timeout(Duration::from_secs(5)).expect("a connection that ends");
    }
}

struct Connection {
    near: TcpStream,
    target: String,
    passed_on: Arc<AtomicUsize>,
}

impl Connection {
    fn serve(mut self, fate: Fate, tell: &Sender<()>) {
        let ending = self.until_its_end(fate);
        if ending == Some(Ending::Reset) {
            let _ = SockRef::from(&self.near).set_linger(Some(Duration::ZERO));
        }
        let client = self.near.peer_addr();
        drop(self);
        while client.as_ref().is_ok_and(|client| is_established(client.port())) {
            std::thread::yield_now();
        }
        let _ = tell.send(());
    }

    /// How it shall end; `None` where the other side has ended it.
    fn until_its_end(&mut self, fate: Fate) -> Option<Ending> {
        if let Fate::AtOnce(ending) = fate {
            return Some(ending);
        }
        let mut far = None;
        for n in 0.. {
            let request = message(&mut self.near)?;
            match fate {
                Fate::AfterRequest(ending) => return Some(ending),
                Fate::AtNextRequest(ending) if n == 1 => return Some(ending),
                _ => {}
            }
            let far = match &mut far {
                Some(far) => far,
                none => none.insert(TcpStream::connect(&self.target).ok()?),
            };
            far.write_all(&request).ok()?;
            let answer = message(far)?;
            self.passed_on.fetch_add(1, Ordering::SeqCst);
            if let Fate::AfterForwarding(ending) = fate {
                return Some(ending);
            }
            self.near.write_all(&answer).ok()?;
            if let Fate::AfterAnswer(ending) = fate {
                return Some(ending);
            }
        }
        None
    }
}

/// Whether the kernel has not yet told the socket with this port that its connection has ended, on a machine
/// that says so: a busy one takes its time.
fn is_established(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next().is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
        is_it && fields.nth(1) == Some("01")
    })
}

/// Reads a request or an answer to its end.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Some(0), |text| text.trim().parse().ok())?;
            if read.len() >= end + 4 + length {
                return Some(read);
            }
        }
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        read.extend_from_slice(&buffer[..n]);
    }
}
