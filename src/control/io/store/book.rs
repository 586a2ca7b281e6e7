//! The tables of the file, and the only place that knows redb.
//!
//! ```text
//!  instances: (service, id) ─▶ one byte, the version of what follows; then what was said of the instance, as JSON
//!  consumers: name ─▶ the same of what was added of a consumer: its groups, and the digests of its keys
//!  revoked:   the digest of a key ─▶ from when on it is refused, in seconds of Unix time; 0: for good
//!  quotas:    the parts of a count's key, as JSON ─▶ the same of what was granted of a quota in its period
//!  meta:      "format" ─▶ 1    "revision" ─▶ the registry's, as of the last commit
//! ```
//!
//! Builds that know no consumers, or no quotas, leave those tables alone, and a file without them has none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use coregate_core::base::limits;
use coregate_core::policy::credential::KeyDigest;
use redb::backends::InMemoryBackend;
use redb::{
    AccessGuard, Builder, CommitError, Database, DatabaseError, Durability, ReadTransaction,
    ReadableDatabase, ReadableTable, SetDurabilityError, StorageBackend, StorageError,
    TableDefinition, TableError, TransactionError, WriteTransaction,
};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use redb::backends::FileBackend;

use crate::registry::consumers::{KeptConsumer, KeptConsumers};
use crate::registry::directory::Kept;
use crate::registry::keep::{Batch, Stored, Write};
use crate::registry::quotas::KeptQuota;

const INSTANCES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("instances");
const CONSUMERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("consumers");
const REVOKED: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("revoked");
const QUOTAS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("quotas");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: &str = "format";
const REVISION: &str = "revision";

/// The format that this build writes, and the latest that it reads.
const CURRENT: u64 = 1;
/// The version of an instance's value.
const VALUE: u8 = 1;

/// Why a file cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is none.
    #[error("registry.redb is not there")]
    Absent,
    /// It is not what was written.
    #[error("registry.redb is damaged: {0}")]
    Damaged(String),
    /// A later build wrote it.
    #[error("registry.redb is of format {0}, and this build knows up to {CURRENT}")]
    Newer(u64),
    /// Another process has it open.
    #[error("another process has registry.redb open")]
    Held,
    /// It cannot be read or written at present.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// An open file.
#[derive(Debug)]
pub(super) struct Book(Database);

impl Book {
    /// Opens what is there, having looked at every byte of it.
    pub(super) fn open(storage: impl StorageBackend) -> Result<(Self, Stored), Fault> {
        // Bytes that nobody wrote are refused by redb, or found out by a check of its own.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let book =
                Self(builder().set_check_integrity_on_open(true).create_with_backend(storage)?);
            let stored = book.read()?;
            Ok((book, stored))
        }));
        opened.unwrap_or_else(|_| Err(Fault::Damaged("it cannot be read".to_owned())))
    }

    /// Reads what is there without touching it.
    pub(super) fn look(bytes: &[u8]) -> Result<Stored, Fault> {
        let copy = InMemoryBackend::new();
        copy.set_len(bytes.len() as u64)?;
        copy.write(0, bytes)?;
        Self::open(copy).map(|(_, stored)| stored)
    }

    /// Begins one, where nothing is.
    pub(super) fn fresh(storage: impl StorageBackend) -> Result<Self, Fault> {
        let book = Self(builder().create_with_backend(storage)?);
        let transaction = book.begin()?;
        transaction.open_table(META)?.insert(FORMAT, CURRENT)?;
        transaction.open_table(INSTANCES)?;
        transaction.commit()?;
        Ok(book)
    }

    fn read(&self) -> Result<Stored, Fault> {
        let transaction = self.0.begin_read()?;
        let number = |name| -> Result<Option<u64>, Fault> {
            Ok(transaction.open_table(META)?.get(name)?.map(|value| value.value()))
        };
        match number(FORMAT)? {
            Some(CURRENT) => {}
            Some(later) if later > CURRENT => return Err(Fault::Newer(later)),
            other => return Err(Fault::Damaged(format!("its format is {other:?}"))),
        }
        let mut kept = Vec::new();
        for entry in transaction.open_table(INSTANCES)?.iter()? {
            let (key, value) = entry?;
            kept.push(decode(key.value(), value.value())?);
        }
        let consumers = read_consumers(&transaction)?;
        let quotas = read_quotas(&transaction)?;
        Ok(Stored { revision: number(REVISION)?.unwrap_or_default(), kept, consumers, quotas })
    }

    /// Writes these, all or nothing; on the disk when it returns. Gives how many bytes of keys and values they have.
    pub(super) fn write(&self, batches: &[Batch]) -> Result<u64, Fault> {
        let transaction = self.begin()?;
        let mut bytes = 0;
        {
            let mut instances = transaction.open_table(INSTANCES)?;
            let mut consumers = transaction.open_table(CONSUMERS)?;
            let mut revoked = transaction.open_table(REVOKED)?;
            let mut quotas = transaction.open_table(QUOTAS)?;
            for write in batches.iter().flat_map(|batch| &batch.writes) {
                bytes += match write {
                    Write::Put(kept) => {
                        let value = encode(kept)?;
                        instances.insert((&*kept.service, &*kept.id), &*value)?;
                        kept.service.len() + kept.id.len() + value.len()
                    }
                    Write::Gone { service, id } => {
                        instances.remove((&**service, &**id))?;
                        service.len() + id.len()
                    }
                    Write::PutConsumer(kept) => {
                        let value = encode(kept)?;
                        consumers.insert(&*kept.name, &*value)?;
                        kept.name.len() + value.len()
                    }
                    Write::GoneConsumer(name) => {
                        consumers.remove(&**name)?;
                        name.len()
                    }
                    Write::PutQuota(id, kept) => {
                        let (key, value) = (id.to_text(), encode(kept)?);
                        quotas.insert(&*key, &*value)?;
                        key.len() + value.len()
                    }
                    Write::GoneQuota(id) => {
                        let key = id.to_text();
                        quotas.remove(&*key)?;
                        key.len()
                    }
                    Write::PutRevoked(digest, from) => {
                        revoked.insert(digest.bytes(), *from)?;
                        digest.bytes().len() + size_of_val(from)
                    }
                    Write::GoneRevoked(digest) => {
                        revoked.remove(digest.bytes())?;
                        digest.bytes().len()
                    }
                };
            }
            if let Some(last) = batches.last() {
                transaction.open_table(META)?.insert(REVISION, last.revision)?;
            }
        }
        transaction.commit()?;
        Ok(bytes as u64)
    }

    fn begin(&self) -> Result<WriteTransaction, Fault> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(limits::STORE_CACHE_BYTES);
    builder
}

/// What was changed about consumers.
fn read_consumers(transaction: &ReadTransaction) -> Result<KeptConsumers, Fault> {
    let mut kept = KeptConsumers::default();
    if let Some(consumers) = known(transaction.open_table(CONSUMERS))? {
        for entry in consumers.iter()? {
            let (name, value) = entry?;
            let consumer = decode_consumer(name.value(), value.value())?;
            kept.added.push(consumer);
        }
    }
    if let Some(revoked) = known(transaction.open_table(REVOKED))? {
        for entry in revoked.iter()? {
            let (digest, from) = entry?;
            kept.revoked.push((KeyDigest::new(*digest.value()).to_hex(), from.value()));
        }
    }
    Ok(kept)
}

/// What was granted of quotas.
fn read_quotas(transaction: &ReadTransaction) -> Result<Vec<KeptQuota>, Fault> {
    let Some(quotas) = known(transaction.open_table(QUOTAS))? else { return Ok(Vec::new()) };
    let read = |entry: Result<(AccessGuard<'_, &str>, AccessGuard<'_, &[u8]>), StorageError>| {
        let (key, value) = entry?;
        let what = format!("the count {}", key.value());
        let kept: KeptQuota = decode_value(&what, value.value())?;
        match kept.id().to_text() == key.value() {
            true => Ok(kept),
            false => Err(Fault::Damaged(format!("{what}: it says that it is {:?}", kept.id()))),
        }
    };
    quotas.iter()?.map(read).collect()
}

/// A table that builds before this one did not make.
fn known<T>(table: Result<T, TableError>) -> Result<Option<T>, Fault> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn encode(kept: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let mut value = vec![VALUE];
    serde_json::to_writer(&mut value, kept).map_err(io::Error::from)?;
    Ok(value)
}

fn decode((service, id): (&str, &str), value: &[u8]) -> Result<Kept, Fault> {
    let what = format!("instance {id:?} of service {service:?}");
    let kept: Kept = decode_value(&what, value)?;
    if (&*kept.service, &*kept.id) != (service, id) {
        let why = format!("{what}: it says that it is {:?} of {:?}", kept.id, kept.service);
        return Err(Fault::Damaged(why));
    }
    Ok(kept)
}

fn decode_consumer(name: &str, value: &[u8]) -> Result<KeptConsumer, Fault> {
    let what = format!("consumer {name:?}");
    let kept: KeptConsumer = decode_value(&what, value)?;
    match kept.name == name {
        true => Ok(kept),
        false => Err(Fault::Damaged(format!("{what}: it says that it is {:?}", kept.name))),
    }
}

fn decode_value<T: DeserializeOwned>(what: &str, value: &[u8]) -> Result<T, Fault> {
    let bad = |why: String| Fault::Damaged(format!("{what}: {why}"));
    match value.split_first() {
        Some((&VALUE, json)) => {
            serde_json::from_slice(json).map_err(|error| bad(error.to_string()))
        }
        Some((&later, _)) if later > VALUE => Err(Fault::Newer(later.into())),
        other => Err(bad(format!("it begins with {:?}", other.map(|(first, _)| first)))),
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::Damaged(error.to_string())
            }
            // Read past the end of what is there.
            StorageError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged(error.to_string())
            }
            StorageError::Io(error) => Self::Io(error),
            StorageError::Corrupted(why) => Self::Damaged(why),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Storage(error) => error.into(),
            DatabaseError::DatabaseAlreadyOpen => Self::Held,
            DatabaseError::UpgradeRequired(_) => Self::Damaged(error.to_string()),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            // A table that is missing, or of other types.
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<SetDurabilityError> for Fault {
    fn from(error: SetDurabilityError) -> Self {
        Self::Io(io::Error::other(error))
    }
}
