//! The store on a real directory, and on a disk that fails or is cut off.

mod loss;
mod medium;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;

use super::*;
use crate::registry::consumers::{KeptConsumer, KeptConsumers, KeptKey};
use crate::registry::directory::Kept;
use crate::registry::keep::{Ask, Batch, Progress, Write, keeper};
use crate::registry::log::in_memory;
use medium::{Honesty, Platter};

/// A directory of a test's own.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("coregate-store-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn file(&self) -> PathBuf {
        self.0.join("registry.redb")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn instance(number: usize) -> Kept {
    Kept { weight: 7, ..Kept::bare("s", &format!("10.0.0.1:{number}")) }
}

fn batch(number: u64, writes: Vec<Write>) -> Batch {
    Batch { number, revision: 100 + number, writes }
}

fn put(number: usize) -> Write {
    Write::Put(Box::new(instance(number)))
}

fn gone(number: usize) -> Write {
    Write::Gone { service: "s".into(), id: format!("10.0.0.1:{number}").into() }
}

/// Writes these to a directory and lets go of it.
fn write(place: &Place, batches: &[Batch]) {
    let Opened { store, .. } = open(&place.0).unwrap();
    store.book.unwrap().write(batches).unwrap();
}

fn stored(place: &Place) -> Stored {
    let Opened { stored, notes, .. } = open(&place.0).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    stored
}

#[test]
fn what_was_written_is_there() {
    let place = Place::new();
    assert_eq!(stored(&place), Stored::default());
    let all = [batch(1, vec![put(1), put(2), put(3)]), batch(2, vec![gone(2), gone(9), put(3)])];
    write(&place, &all);
    let kept = vec![instance(1), instance(3)];
    assert_eq!(stored(&place), Stored { revision: 102, kept, ..Stored::default() });
    write(&place, &[batch(1, vec![gone(1), put(1), gone(3)])]);
    assert_eq!(stored(&place).kept, [instance(1)]);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(place.0.clone()), mode(place.file())), (0o700, 0o600));
}

#[test]
fn what_was_changed_about_consumers_is_there() {
    let place = Place::new();
    let digest = |text: &str| KeyDigest::of(text.as_bytes());
    let consumer = |name: &str, keys: &[&str]| KeptConsumer {
        name: name.into(),
        groups: Some(vec!["gold".into()]),
        keys: keys
            .iter()
            .map(|text| KeptKey { sha256: digest(text).to_hex(), expires: Some(9) })
            .collect(),
    };
    let put = |kept| Write::PutConsumer(Box::new(kept));
    let all = [
        batch(1, vec![put(consumer("a", &["k"])), put(consumer("b", &[])), self::put(1)]),
        batch(2, vec![Write::PutRevoked(digest("x"), 0), Write::PutRevoked(digest("y"), 7)]),
        batch(3, vec![Write::GoneConsumer("b".into()), put(consumer("a", &["k", "l"]))]),
        batch(4, vec![Write::GoneRevoked(digest("x")), Write::GoneConsumer("none".into())]),
    ];
    write(&place, &all);
    let expected = KeptConsumers {
        added: vec![consumer("a", &["k", "l"])],
        revoked: vec![(digest("y").to_hex(), 7)],
    };
    assert_eq!(stored(&place).consumers, expected);
    assert_eq!(stored(&place).kept, [instance(1)]);
}

/// A build that knew none of consumers made a file without their tables.
#[test]
fn a_file_of_an_earlier_build_is_gone_on_with() {
    let place = Place::new();
    write(&place, &[batch(1, vec![put(1), Write::PutRevoked(KeyDigest::of(b"x"), 0)])]);
    let database = redb::Database::open(place.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    use redb::TableHandle as _;
    for name in ["consumers", "revoked"] {
        let tables: Vec<_> = transaction.list_tables().unwrap().collect();
        let table = tables.into_iter().find(|table| table.name() == name).unwrap();
        assert!(transaction.delete_table(table).unwrap());
    }
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(stored(&place).kept, [instance(1)]);
    write(&place, &[batch(2, vec![Write::PutRevoked(KeyDigest::of(b"y"), 3)])]);
    assert_eq!(stored(&place).consumers.revoked, [(KeyDigest::of(b"y").to_hex(), 3)]);
}

#[test]
fn a_directory_has_one_owner() {
    let place = Place::new();
    let first = open(&place.0).unwrap();
    let error = open(&place.0).unwrap_err().to_string();
    assert!(error.contains(&format!("process {} has it", std::process::id())), "{error}");
    drop(first);
    open(&place.0).unwrap();
}

#[test]
fn what_is_no_directory_is_refused() {
    let place = Place::new();
    fs::write(&place.0, "").unwrap();
    let error = open(&place.0).unwrap_err().to_string();
    assert!(error.contains("not a directory"), "{error}");
    let error = open(&place.0.join("below")).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("not a directory"), "{error}");
    fs::remove_file(&place.0).unwrap();
    let error = open(Path::new("/proc/coregate")).unwrap_err().to_string();
    assert!(error.contains("/proc/coregate"), "{error}");
}

/// Whatever is done to the file: it is put aside, and what is in it is as it was.
#[test]
fn what_is_damaged_is_put_aside() {
    let place = Place::new();
    let many: Vec<_> = (1..500).map(put).collect();
    write(&place, &[batch(1, many)]);
    let whole = fs::read(place.file()).unwrap();
    let middle = whole.len() / 2;
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xFF;
        bytes
    };
    let cases = [
        Vec::new(),
        b"no database".to_vec(),
        whole[..middle].to_vec(),
        whole[..100].to_vec(),
        vec![0xA5; whole.len()],
        vec![0; whole.len()],
        flipped(1),
    ];
    for (number, bytes) in cases.iter().enumerate() {
        fs::write(place.file(), bytes).unwrap();
        let Opened { stored, notes, store } = open(&place.0).unwrap();
        assert_eq!(stored, Stored::default(), "case {number}");
        let [note] = &notes[..] else { panic!("case {number}: {notes:?}") };
        let aside = place.0.join(format!("registry.redb.corrupt-{}", number + 1));
        assert!(note.contains(&aside.display().to_string()), "case {number}: {note}");
        assert_eq!(&fs::read(&aside).unwrap(), bytes, "case {number}");
        store.book.unwrap().write(&[batch(1, vec![put(1)])]).unwrap();
        drop(store.disk);
        assert_eq!(self::stored(&place).kept, [instance(1)]);
    }
    // No more than some, and then nothing is touched.
    fs::write(place.file(), b"more").unwrap();
    open(&place.0).unwrap();
    fs::write(place.file(), b"and more").unwrap();
    let Opened { notes, store, .. } = open(&place.0).unwrap();
    assert!(store.sealed && notes[0].contains("look at them"), "{notes:?}");
    // Nor after an upgrade that came to nothing.
    let (mut keeper, asked) = keeper();
    let (proposer, _) = in_memory();
    let Store { disk, book, sealed } = store;
    let told = Box::new(|_: &str| {});
    let mut thread = Thread::new(disk, book, sealed, asked, proposer.waker(), told);
    keeper.close();
    keeper.open();
    drop(keeper);
    thread.run();
    assert!(thread.is_sealed());
    drop(thread);
    assert_eq!(fs::read(place.file()).unwrap(), b"and more");
    assert_eq!(place.names().len(), limits::STORE_ASIDE + 2, "{:?}", place.names());
}

/// A byte of an instance that is another one: the check of the whole finds it.
#[test]
fn no_byte_of_an_instance_changes_unseen() {
    let place = Place::new();
    write(&place, &[batch(1, (1..200).map(put).collect())]);
    let whole = fs::read(place.file()).unwrap();
    let text = b"10.0.0.1:77";
    let at = whole.windows(text.len()).position(|window| window == text).unwrap();
    let mut bytes = whole;
    bytes[at + 3] = b'9';
    fs::write(place.file(), bytes).unwrap();
    let Opened { notes, stored, .. } = open(&place.0).unwrap();
    assert!(notes[0].contains("is damaged") && stored.kept.is_empty(), "{notes:?}");
}

#[test]
fn what_a_later_build_wrote_is_put_aside() {
    let place = Place::new();
    write(&place, &[batch(1, vec![put(1)])]);
    let database = redb::Database::open(place.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let Opened { notes, stored, .. } = open(&place.0).unwrap();
    assert!(notes[0].contains("of format 9, and this build knows up to 1"), "{notes:?}");
    assert!(stored.kept.is_empty() && place.names().contains(&"registry.redb.newer-1".into()));
}

/// The thread, on a disk in memory.
struct Play {
    platter: Platter,
    asks: std::sync::mpsc::Sender<Ask>,
    progress: Arc<Progress>,
    told: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

fn play(platter: Platter) -> Play {
    let (asks, asked) = std::sync::mpsc::channel();
    let progress = Arc::<Progress>::default();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let mut disk = platter.clone();
    let book = match disk.open() {
        Ok((book, _)) => Ok(book),
        Err(_) => disk.fresh().and_then(|book| disk.adopt().map(|()| book)),
    };
    let tell = Arc::clone(&told);
    let tell = move |text: &str| tell.lock().unwrap().push(text.to_owned());
    let (proposer, _) = in_memory();
    let asked = Asked { asks: asked, progress: Arc::clone(&progress) };
    let thread = Thread::new(disk, book, false, asked, proposer.waker(), Box::new(tell));
    Play { platter, asks, progress, told, thread: thread.start().unwrap() }
}

impl Play {
    fn ask(&self, ask: Ask) {
        self.asks.send(ask).unwrap();
    }

    /// Waits until a number is settled; whether it is durable.
    #[track_caller]
    fn settled(&self, number: u64) -> bool {
        wait_for("it is settled", || self.progress.is_settled(number));
        self.progress.is_durable(number)
    }

    /// Ends the thread; gives what is on the disk.
    fn end(self) -> Stored {
        drop(self.asks);
        self.thread.join().unwrap();
        self.platter.fail_after(None);
        let bytes = self.platter.after_death().unwrap();
        Book::look(&bytes).unwrap()
    }
}

#[track_caller]
fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}");
        std::thread::yield_now();
    }
}

/// What cannot be written is settled all the same; later all of it is asked for, and written.
#[test]
fn a_full_disk_stops_nothing() {
    let play = play(Platter::new(None, Honesty::Honest));
    play.ask(Ask::Write(batch(1, vec![put(1)])));
    assert!(play.settled(1));
    play.platter.fail_after(Some(2));
    play.ask(Ask::Write(batch(2, vec![put(2)])));
    assert!(!play.settled(2));
    play.ask(Ask::Write(batch(3, vec![put(3)])));
    assert!(!play.settled(3));
    wait_for("it is counted", || play.progress.errors.get() == 1);
    assert!(play.progress.fault().is_some());
    play.platter.fail_after(None);
    wait_for("all of it is asked for", || play.progress.wants_all());
    play.ask(Ask::Write(batch(4, vec![put(4)])));
    play.ask(Ask::Whole(batch(5, vec![put(2), put(5)])));
    play.ask(Ask::Write(batch(6, vec![put(6)])));
    assert!(play.settled(6) && play.progress.fault().is_none());
    let told = play.told.lock().unwrap().clone();
    assert!(
        matches!(&told[..], [bad, good] if bad.contains("cannot be written") && good.contains("again")),
        "{told:?}"
    );
    assert_eq!(play.end().kept, [2, 5, 6].map(instance));
}

#[test]
fn another_process_may_have_it_meanwhile() {
    let play = play(Platter::new(None, Honesty::Honest));
    play.ask(Ask::Write(batch(1, vec![put(1)])));
    play.ask(Ask::Close(2));
    assert!(play.settled(2), "what came before it is written");
    let bytes = play.platter.after_death().unwrap();
    assert_eq!(Book::look(&bytes).unwrap().kept, [instance(1)]);
    play.ask(Ask::Open);
    play.ask(Ask::Open);
    play.ask(Ask::Write(batch(3, vec![put(3)])));
    assert!(play.settled(3));
    assert_eq!(play.end().kept, [instance(1), instance(3)]);
}

/// Commits take what waits, so that a slow disk has few of them.
#[test]
fn what_waits_is_written_together() {
    let (keeper, asked) = keeper();
    let progress = Arc::clone(&asked.progress);
    let (asks, queue) = std::sync::mpsc::channel();
    (1..=100).for_each(|number| {
        asks.send(Ask::Write(batch(number, vec![put(number as usize)]))).unwrap()
    });
    drop((asks, keeper));
    let mut disk = Platter::new(None, Honesty::Honest);
    let book = disk.fresh();
    let asked = Asked { asks: queue, ..asked };
    let (proposer, _) = in_memory();
    Thread::new(disk, book, false, asked, proposer.waker(), Box::new(|_| {})).run();
    assert!(progress.is_durable(100));
    assert_eq!(progress.commits.get(), 1);
}

/// The thread, on a real directory.
fn at(place: &Place) -> (std::sync::mpsc::Sender<Ask>, Arc<Progress>, JoinHandle<()>) {
    let Opened { store, .. } = open(&place.0).unwrap();
    let (asks, asked) = std::sync::mpsc::channel();
    let progress = Arc::<Progress>::default();
    let asked = Asked { asks: asked, progress: Arc::clone(&progress) };
    let thread = store.start(asked, in_memory().0.waker(), |_| {}).unwrap();
    (asks, progress, thread)
}

/// A file that lost its name takes what is written with it: that is not durable, and all of it is written anew.
#[test]
fn what_is_durable_is_what_the_next_start_finds() {
    type Harm = fn(&Place);
    let harms: [Harm; 4] = [
        |place| fs::remove_file(place.file()).unwrap(),
        |place| fs::remove_dir_all(&place.0).unwrap(),
        |place| fs::remove_file(place.0.join("registry.lock")).unwrap(),
        |place| {
            let copy = place.0.join("copy");
            fs::copy(place.file(), &copy).unwrap();
            fs::rename(copy, place.file()).unwrap();
        },
    ];
    for (number, harm) in harms.iter().enumerate() {
        let place = Place::new();
        let (asks, progress, thread) = at(&place);
        let settled = |number| {
            wait_for("it is settled", || progress.is_settled(number));
            progress.is_durable(number)
        };
        asks.send(Ask::Write(batch(1, vec![put(1)]))).unwrap();
        assert!(settled(1), "case {number}");
        harm(&place);
        asks.send(Ask::Write(batch(2, vec![put(2)]))).unwrap();
        assert!(!settled(2), "case {number}");
        wait_for("it is said", || progress.fault().is_some());
        wait_for("all of it is asked for", || progress.wants_all());
        asks.send(Ask::Whole(batch(3, vec![put(1), put(2)]))).unwrap();
        asks.send(Ask::Write(batch(4, vec![put(3)]))).unwrap();
        assert!(settled(4) && progress.fault().is_none(), "case {number}");
        drop(asks);
        thread.join().unwrap();
        assert_eq!(stored(&place).kept, [1, 2, 3].map(instance), "case {number}");
    }
}

/// Whoever took the directory while its lock was away keeps it.
#[test]
fn a_lock_that_was_taken_away_is_not_taken_back() {
    let place = Place::new();
    let (asks, progress, thread) = at(&place);
    fs::remove_file(place.0.join("registry.lock")).unwrap();
    let error = open(&place.0).unwrap_err().to_string();
    assert!(error.contains("another process has it"), "the file itself is locked too: {error}");
    fs::remove_dir_all(&place.0).unwrap();
    let other = open(&place.0).unwrap();
    asks.send(Ask::Write(batch(1, vec![put(1)]))).unwrap();
    wait_for("it is settled", || progress.is_settled(1));
    wait_for("it is said whose it is", || {
        progress.fault().is_some_and(|fault| fault.contains("has it"))
    });
    assert!(!progress.is_durable(1));
    other.store.book.unwrap().write(&[batch(1, vec![put(9)])]).unwrap();
    drop(other.store.disk);
    drop(asks);
    thread.join().unwrap();
    assert_eq!(stored(&place).kept, [instance(9)]);
}

/// What a link leads to is nobody's to overwrite.
#[test]
fn a_link_in_the_directory_leads_nowhere() {
    let place = Place::new();
    fs::create_dir(&place.0).unwrap();
    let precious = place.0.join("precious");
    fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, place.0.join("registry.redb.new")).unwrap();
    write(&place, &[batch(1, vec![put(1)])]);
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(stored(&place).kept, [instance(1)]);
}
