//! The tokens that open something of the registry over TCP: read whenever a configuration is taken, so that a reload follows one
//! that changed.

use coregate_config::Settings;
use coregate_control::io::admin::tokens::TokenTable;
use coregate_control::registry::directory::admission::TokenCheck;

/// All of them, or why some cannot be had.
pub(crate) fn resolve(settings: &Settings) -> Result<TokenTable, Vec<String>> {
    let (mut table, mut errors) = (TokenTable::default(), Vec::new());
    for (service, secret) in &settings.tokens {
        match secret.resolve() {
            Ok(token) => {
                let check = TokenCheck::new(move |given| token.matches(given));
                table.services.insert(service.clone(), check);
            }
            Err(error) => errors.push(format!("services.{service}.register.token: {error}")),
        }
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}
