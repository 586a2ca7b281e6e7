//! An origin of slots: it works on so many requests at once, each for the same time, and others wait their turn.
//!
//! A thread a connection: what is before it decides how many there are.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many slots are free.
#[derive(Debug)]
struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// Such an origin, which serves until it is dropped, and what asks it has ended.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// Where one is to be.
///
/// # Errors
/// There is no address to listen on.
pub fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves so many at once, each for this long.
///
/// # Errors
/// There can be no thread.
pub fn serve(listener: TcpListener, slots: usize, time: Duration) -> io::Result<Serving> {
    let address = listener.local_addr()?;
    let slots = Arc::new(Slots { free: Mutex::new(slots), freed: Condvar::new() });
    let over = Arc::<AtomicBool>::default();
    let ends = Arc::clone(&over);
    let accepting = thread::Builder::new().name("slots".into()).spawn(move || {
        let mut serving = Vec::new();
        for stream in listener.incoming().flatten() {
            if ends.load(Ordering::SeqCst) {
                break;
            }
            let slots = Arc::clone(&slots);
            serving.push(thread::spawn(move || connection(stream, &slots, time)));
        }
        // A connection that ends, ends its thread; how, is of no interest.
        serving.into_iter().for_each(|one| drop(one.join()));
    })?;
    Ok(Serving { address, over, accepting: Some(accepting) })
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

fn connection(mut stream: TcpStream, slots: &Slots, time: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Else the kernel may wake a sleeping thread 50 µs late.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let (mut page, mut filled) = ([0; 4_096], 0);
    loop {
        let read = stream.read(&mut page[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if page[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            slots.work(time);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    }
}

impl Slots {
    fn work(&self, time: Duration) {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.freed.wait_while(free, |free| *free == 0);
        *taken.unwrap_or_else(PoisonError::into_inner) -= 1;
        let until = Instant::now() + time;
        thread::sleep(until.saturating_duration_since(Instant::now()));
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
    }
}
