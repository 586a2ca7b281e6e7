//! A folder with files, for tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

use crate::{Loaded, load};

/// A folder that is gone with its test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// One that holds these files, by name and text.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            Self(env::temp_dir().join(format!("coregate-config-{}-{next}", process::id())));
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads `main.toml`.
    pub(crate) fn load(&self) -> Loaded {
        load(&self.path("main.toml"))
    }

    /// The same text without the folder's name.
    pub(crate) fn bare(&self, text: &str) -> String {
        text.replace(&format!("{}/", Path::display(&self.0)), "")
    }

    /// What is wrong with `main.toml`: code, file, line, column, message and suggestion.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let report = self.load().report;
        let faults = report.diagnostics().iter().map(|fault| {
            let place = format!("{} {}:{}:{}", fault.code, fault.file, fault.line, fault.column);
            let message = [Some(fault.message.as_str()), fault.suggestion.as_deref()];
            let message = message.into_iter().flatten().collect::<Vec<_>>().join(" | ");
            (self.bare(&place), self.bare(&message))
        });
        faults.collect()
    }

    /// Checks the faults: places, and parts of the messages.
    pub(crate) fn check(&self, expected: &[(&str, &str)]) {
        let faults = self.faults();
        let places: Vec<_> = faults.iter().map(|(place, _)| place.as_str()).collect();
        let wanted: Vec<_> = expected.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, wanted, "{faults:#?}");
        for ((_, message), (_, part)) in faults.iter().zip(expected) {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
