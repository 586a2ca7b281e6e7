//! Keys of consumers that lie in the environment or in files: a plan holds digests alone, so these are kept beside it until they are
//! read.

use std::collections::HashMap;

use coregate_core::snapshot::plan::{KeyPlan, Plan};

use crate::secret::{Secret, SecretError};
use crate::settings::Settings;

/// A key of a consumer, and where it lies. Those that a file gives by their digests stand in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerKey {
    /// The name of a consumer of the plan.
    pub consumer: String,
    /// Where it lies.
    pub secret: Secret,
    /// From when on it is refused, in seconds of Unix time; `None`: never.
    pub expires: Option<u64>,
}

/// Why a key cannot be had. It holds no part of it.
#[derive(Debug, thiserror::Error)]
#[error("consumers.{consumer}.keys: {why}")]
pub struct KeyError {
    /// Whose key it is.
    pub consumer: String,
    /// Why.
    #[source]
    pub why: SecretError,
}

impl ConsumerKey {
    /// Reads it. Blocks.
    pub fn resolve(&self) -> Result<KeyPlan, KeyError> {
        match self.secret.resolve() {
            Ok(token) => Ok(KeyPlan { digest: token.digest(), expires: self.expires }),
            Err(why) => Err(KeyError { consumer: self.consumer.clone(), why }),
        }
    }
}

impl Settings {
    /// The plan as it is to be taken: with the keys that lie elsewhere, which are read now. Blocks. Or all that cannot be had.
    pub fn plan_with_keys(&self) -> Result<Plan, Vec<KeyError>> {
        let (plan, errors) = self.plan_with_keys_here();
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }

    /// The same with those that can be had, and why the others cannot. Blocks.
    pub fn plan_with_keys_here(&self) -> (Plan, Vec<KeyError>) {
        let mut plan = self.plan.clone();
        let names = self.plan.consumers.iter().enumerate();
        let places: HashMap<_, _> = names.map(|(at, one)| (one.name.as_str(), at)).collect();
        let mut errors = Vec::new();
        for key in &self.keys {
            let consumer = places.get(key.consumer.as_str()).map(|at| &mut plan.consumers[*at]);
            match (key.resolve(), consumer) {
                // One that the consumer has already stays as it was.
                (Ok(key), Some(consumer))
                    if !consumer.keys.iter().any(|one| one.digest == key.digest) =>
                {
                    consumer.keys.push(key);
                }
                (Ok(_), _) => {}
                (Err(error), _) => errors.push(error),
            }
        }
        (plan, errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coregate_core::policy::credential::KeyDigest;
    use coregate_core::snapshot::plan::ConsumerPlan;

    const KEY: &str = "0123456789abcdef";

    fn settings(keys: Vec<ConsumerKey>) -> Settings {
        let mut settings = Settings { keys, ..Settings::to_instances(&[], &[]) };
        let consumer =
            |name: &str| ConsumerPlan { name: name.into(), groups: Vec::new(), keys: Vec::new() };
        settings.plan.consumers = vec![consumer("a"), consumer("b")];
        settings
    }

    #[test]
    fn a_consumer_gets_each_key_once_and_as_a_digest() {
        let path = std::env::temp_dir().join(format!("coregate-key-{}", std::process::id()));
        std::fs::write(&path, format!("{KEY}\n")).unwrap();
        let of = |consumer: &str, expires| ConsumerKey {
            consumer: consumer.into(),
            secret: Secret::File(path.clone()),
            expires,
        };
        let plan = settings(vec![of("b", Some(7)), of("b", None), of("nobody", None)]);
        let plan = plan.plan_with_keys();
        std::fs::remove_file(&path).unwrap();
        let plan = plan.unwrap();
        let key = KeyPlan { digest: KeyDigest::of(KEY.as_bytes()), expires: Some(7) };
        assert_eq!((&plan.consumers[0].keys, &plan.consumers[1].keys), (&vec![], &vec![key]));
    }

    #[test]
    fn all_that_cannot_be_had_is_said() {
        let of = |consumer: &str| ConsumerKey {
            consumer: consumer.into(),
            secret: Secret::Env("COREGATE_NOBODY_SETS_THIS".into()),
            expires: None,
        };
        let errors = settings(vec![of("a"), of("b")]).plan_with_keys().unwrap_err();
        let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let why = "environment variable COREGATE_NOBODY_SETS_THIS: it is not set";
        assert_eq!(said, ["a", "b"].map(|name| format!("consumers.{name}.keys: {why}")));
    }
}
