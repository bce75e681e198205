//! A web server of one file for tests, which can break its connections.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Serves until it is dropped.
pub(crate) struct Server {
    /// Where the file is.
    pub url: String,
    state: Arc<State>,
}

struct State {
    bytes: Vec<u8>,
    /// Whether it knows ranges and tags.
    ranges: bool,
    /// After how many bytes the first answers break off.
    cuts: Vec<usize>,
    gets: AtomicUsize,
    active: AtomicUsize,
    stop: AtomicBool,
}

impl Server {
    pub fn start(bytes: Vec<u8>, ranges: bool, cuts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/f.bin", listener.local_addr().unwrap());
        let (gets, active, stop) = Default::default();
        let state = Arc::new(State { bytes, ranges, cuts: cuts.to_vec(), gets, active, stop });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(SeqCst) {
                    return;
                }
                let state = shared.clone();
                std::thread::spawn(move || {
                    state.active.fetch_add(1, SeqCst);
                    // A client that goes away ends the connection, not the test.
                    let _ = state.serve(stream.unwrap());
                    state.active.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { url, state }
    }

    /// How often the file was asked for.
    pub fn requests(&self) -> usize {
        self.state.gets.load(SeqCst)
    }

    /// Whether every answer ends within some seconds.
    pub fn ended(&self) -> bool {
        for _ in 0..200 {
            if self.state.active.load(SeqCst) == 0 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stop.store(true, SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/f.bin");
        let _ = TcpStream::connect(address);
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let mut out = stream;
        let request = lines.next().transpose()?.unwrap_or_default();
        let mut from = 0;
        for line in lines {
            let line = line?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let (true, Some(range)) = (self.ranges, line.strip_prefix("range: bytes=")) {
                from = range.split('-').next().unwrap().parse().unwrap();
            }
        }
        let target = request.split(' ').nth(1).unwrap_or_default();
        if target.split('?').next() != Some("/f.bin") {
            return out.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        let all = self.bytes.len();
        let mut head = match from {
            0 => "HTTP/1.1 200 OK\r\n".to_string(),
            _ => format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{all}\r\n",
                all - 1
            ),
        };
        if self.ranges {
            head.push_str("ETag: \"v1\"\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", all - from));
        out.write_all(head.as_bytes())?;
        if request.starts_with("HEAD") {
            return Ok(());
        }
        let cut = self.cuts.get(self.gets.fetch_add(1, SeqCst)).copied().unwrap_or(all);
        out.write_all(&self.bytes[from..(from + cut).min(all)])
    }
}
