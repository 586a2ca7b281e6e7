//! The tokens that instances register with: read whenever a configuration is taken, so that a reload follows one that changed.

use std::collections::HashMap;

use coregate_config::Settings;
use coregate_control::registry::directory::admission::TokenCheck;

/// The tokens of all services that have one, or why some of them cannot be had.
pub(crate) fn resolve(settings: &Settings) -> Result<HashMap<String, TokenCheck>, Vec<String>> {
    let (mut tokens, mut errors) = (HashMap::new(), Vec::new());
    for (service, secret) in &settings.tokens {
        match secret.resolve() {
            Ok(token) => {
                let check = TokenCheck::new(move |given| token.matches(given));
                tokens.insert(service.clone(), check);
            }
            Err(error) => errors.push(format!("services.{service}.register.token: {error}")),
        }
    }
    if errors.is_empty() { Ok(tokens) } else { Err(errors) }
}
