//! The tokens that open something of the registry over TCP: read whenever a configuration is taken, so that a reload follows one
//! that changed.

use coregate_config::{Grant, Scope, Settings, Token};
use coregate_control::io::admin::tokens::{self, NamedToken, Services, TokenTable};
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
    for (name, grant) in &settings.grants {
        match grant.token.resolve() {
            Ok(token) => table.named.push(named(grant, token)),
            Err(error) => errors.push(format!("tokens.{name}: {error}")),
        }
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

fn named(grant: &Grant, token: Token) -> NamedToken {
    let scopes = grant.scopes.iter().map(|scope| match scope {
        Scope::Read => tokens::Scope::Read,
        Scope::Register => tokens::Scope::Register,
        Scope::Operate => tokens::Scope::Operate,
    });
    let patterns = grant.services.clone();
    let services = move |name: &str| patterns.iter().any(|pattern| pattern.takes(name));
    NamedToken {
        token: TokenCheck::new(move |given| token.matches(given)),
        services: Services::new(services),
        scopes: scopes.collect(),
    }
}
