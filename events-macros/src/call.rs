//! The grammar of `emit!`: from tokens to a `Call`.
//!
//! ```text
//! call     = sdk ";" [ "on" handle "," ] kind [ "," level ] "," "{" fields "}" [ "," metadata ] [ "," ]
//! kind     = [ path "::" ] identifier
//! level    = identifier, the name of a level  |  any other expression
//! fields   = { identifier [ ":" ( variant | expression ) ] "," }
//! variant  = identifier in CamelCase
//! metadata = "{" { expression "=>" expression "," } "}"  |  any other expression
//! ```
//!
//! Only what makes no sense as a call is refused here; whether kind, level, fields and values exist and fit is for
//! rustc to say.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::{
    Error, Expr, ExprPath, Path, Result, Token, braced,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

/// What a call looks like, for messages about calls that do not.
const EXAMPLE: &str = "`emit!(storage_pool, warn, { pool_name: name, operation: Created })`";

/// One call of `emit!`.
pub(crate) struct Call {
    /// The way to the SDK.
    pub(crate) sdk: TokenStream,
    /// The handle to emit on, unless it is the one of the process.
    pub(crate) handle: Option<Expr>,
    /// The module with the generated code, unless it is the SDK's.
    pub(crate) schema: Option<Path>,
    pub(crate) kind: Ident,
    pub(crate) level: Option<Level>,
    pub(crate) fields: Vec<Field>,
    pub(crate) metadata: Metadata,
}

/// How the call says the level.
pub(crate) enum Level {
    /// By its name.
    Named(Ident),
    Computed(Expr),
}

/// A field of the payload.
pub(crate) struct Field {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// What a field is set to.
pub(crate) enum Value {
    /// The variable that is called like the field.
    Shorthand,
    /// A variant of the field's enum.
    Variant(Ident),
    Expr(Expr),
}

/// What accompanies the event.
pub(crate) enum Metadata {
    Pairs(Vec<(Expr, Expr)>),
    /// Something that is metadata as a whole.
    Expr(Expr),
}

impl Parse for Call {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let sdk = sdk(input)?;
        if input.is_empty() {
            return Err(input.error(format!("what is to be emitted is missing: {EXAMPLE}")));
        }
        let handle = handle(input)?;
        let (schema, kind) = kind(input)?;
        let level = level(input, &kind)?;
        let fields = fields(input, &kind)?;
        let metadata = metadata(input)?;
        Ok(Self { sdk, handle, schema, kind, level, fields, metadata })
    }
}

/// Everything up to the first semicolon: the SDK's macro has put it there.
fn sdk(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut path = TokenStream::new();
    while !input.peek(Token![;]) {
        path.extend([input.parse::<TokenTree>()?]);
    }
    input.parse::<Token![;]>()?;
    Ok(path)
}

/// `on events,`. A kind or a module may be called `on` too: then a comma or `::` follows.
fn handle(input: ParseStream<'_>) -> Result<Option<Expr>> {
    let ahead = input.fork();
    let is_on = ahead.parse::<Ident>().is_ok_and(|word| word == "on");
    if !is_on || ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(Token![::]) {
        return Ok(None);
    }
    input.parse::<Ident>()?;
    let handle = input.parse()?;
    input.parse::<Token![,]>()?;
    Ok(Some(handle))
}

fn kind(input: ParseStream<'_>) -> Result<(Option<Path>, Ident)> {
    if !input.peek(syn::Ident) && !is_path_start(input) {
        return Err(input.error(format!("expected the kind of event, as in {EXAMPLE}")));
    }
    let mut path = Path::parse_mod_style(input)?;
    let Some(last) = path.segments.pop() else {
        return Err(input.error(format!("expected the kind of event, as in {EXAMPLE}")));
    };
    let kind = last.ident;
    if path.segments.is_empty() {
        return match path.leading_colon {
            None => Ok((None, kind)),
            Some(_) => Err(Error::new(kind.span(), "a crate is no kind of event: name the kind after it")),
        };
    }
    path.segments.pop_punct();
    Ok((Some(path), kind))
}

fn is_path_start(input: ParseStream<'_>) -> bool {
    input.peek(Token![::])
        || input.peek(Token![crate])
        || input.peek(Token![self])
        || input.peek(Token![super])
}

fn level(input: ParseStream<'_>, kind: &Ident) -> Result<Option<Level>> {
    comma_before_fields(input, kind)?;
    if input.peek(token::Brace) {
        return Ok(None);
    }
    let level: Expr = input.parse()?;
    let level = match bare(&level) {
        Some(name) if name == "level" => {
            return Err(Error::new(
                name.span(),
                "`level` is not the name of a level; a level in a variable stands in parentheses: `(level)`",
            ));
        }
        Some(name) => Level::Named(name.clone()),
        None => Level::Computed(without_parentheses(level)),
    };
    comma_before_fields(input, kind)?;
    Ok(Some(level))
}

fn comma_before_fields(input: ParseStream<'_>, kind: &Ident) -> Result<()> {
    if input.is_empty() {
        return Err(Error::new(kind.span(), format!("the fields of `{kind}` are missing: add `, {{ … }}`")));
    }
    input.parse::<Token![,]>().map(|_| ())
}

fn fields(input: ParseStream<'_>, kind: &Ident) -> Result<Vec<Field>> {
    if !input.peek(token::Brace) {
        return Err(input.error(format!("expected the fields of `{kind}` in braces, as in {EXAMPLE}")));
    }
    let content;
    braced!(content in input);
    Ok(Punctuated::<Field, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Token![..]) {
            return Err(input.error("fields that are left out are empty anyway: leave `..` out"));
        }
        let name = input.parse()?;
        if !input.peek(Token![:]) {
            return Ok(Self { name, value: Value::Shorthand });
        }
        input.parse::<Token![:]>()?;
        let value: Expr = input.parse()?;
        let value = match bare(&value) {
            Some(variant) if is_variant(variant) => Value::Variant(variant.clone()),
            _ => Value::Expr(value),
        };
        Ok(Self { name, value })
    }
}

fn metadata(input: ParseStream<'_>) -> Result<Metadata> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    let metadata = match input.cursor().group(Delimiter::Brace) {
        _ if input.is_empty() => Metadata::Pairs(Vec::new()),
        Some(_) => {
            let content;
            braced!(content in input);
            Metadata::Pairs(
                Punctuated::<_, Token![,]>::parse_terminated_with(&content, pair)?.into_iter().collect(),
            )
        }
        None => Metadata::Expr(input.parse()?),
    };
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    match input.is_empty() {
        true => Ok(metadata),
        false => {
            Err(input
                .error("nothing comes after the metadata: fields and metadata are one pair of braces each"))
        }
    }
}

fn pair(input: ParseStream<'_>) -> Result<(Expr, Expr)> {
    let key = input.parse()?;
    if !input.peek(Token![=>]) {
        return Err(input.error("expected `=>`: metadata is written `\"key\" => value`"));
    }
    input.parse::<Token![=>]>()?;
    Ok((key, input.parse()?))
}

/// The identifier that is all of the expression.
fn bare(value: &Expr) -> Option<&Ident> {
    match value {
        Expr::Path(ExprPath { attrs, qself: None, path }) if attrs.is_empty() => path.get_ident(),
        _ => None,
    }
}

/// Whether the identifier is written as variants are. `None` is not taken for one: it empties an optional field. Nor is
/// what is written in capitals throughout: it is a constant.
fn is_variant(word: &Ident) -> bool {
    let text = word.to_string();
    text != "None" && text.starts_with(char::is_uppercase) && text.contains(char::is_lowercase)
}

fn without_parentheses(value: Expr) -> Expr {
    match value {
        Expr::Paren(inner) if inner.attrs.is_empty() => *inner.expr,
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn parse(call: TokenStream) -> Result<Call> {
        syn::parse2(quote!(::events_sdk; #call))
    }

    fn error(call: TokenStream) -> String {
        match parse(call) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_a_bare_identifier_in_camel_case_is_a_variant() {
        for (value, is_variant) in [
            (quote!(Created), true),
            (quote!(Ipv4), true),
            (quote!(None), false),
            (quote!(CREATED), false),
            (quote!(V4), false),
            (quote!(created), false),
            (quote!(Operation::Created), false),
            (quote!((Created)), false),
            (quote!(&Created), false),
            (quote!(Some(Created)), false),
        ] {
            let call = parse(quote!(storage_pool, warn, { operation: #value })).unwrap();
            assert_eq!(matches!(call.fields[0].value, Value::Variant(_)), is_variant, "{value}");
        }
    }

    #[test]
    fn on_is_a_handle_only_before_one() {
        for (call, has_handle) in [
            (quote!(on events, storage_pool, warn, {}), true),
            (quote!(on & self.events, storage_pool, {}), true),
            (quote!(on, warn, {}), false),
            (quote!(on::storage_pool, warn, {}), false),
            (quote!(once, {}), false),
        ] {
            assert_eq!(parse(call.clone()).unwrap().handle.is_some(), has_handle, "{call}");
        }
    }

    #[test]
    fn commas_may_trail() {
        let call = parse(quote!(storage_pool, warn, { pool_name, }, { "a" => "b", },)).unwrap();
        assert_eq!(call.fields.len(), 1);
        assert!(matches!(call.metadata, Metadata::Pairs(pairs) if pairs.len() == 1));
        assert!(parse(quote!(storage_pool, {},)).is_ok());
    }

    #[test]
    fn what_makes_no_sense_as_a_call_is_told_with_the_cure() {
        for (call, text) in [
            (quote!(), "what is to be emitted is missing: `emit!(storage_pool"),
            (quote!("pool"), "expected the kind of event, as in"),
            (quote!(::storage_pool, {}), "name the kind after it"),
            (quote!(storage_pool), "the fields of `storage_pool` are missing"),
            (quote!(storage_pool, warn), "the fields of `storage_pool` are missing"),
            (quote!(storage_pool, warn, pool), "expected the fields of `storage_pool` in braces"),
            (quote!(storage_pool, level, {}), "stands in parentheses: `(level)`"),
            (quote!(storage_pool, warn, { ..base }), "leave `..` out"),
            (quote!(storage_pool, warn, {}, { "a": 1 }), "metadata is written `\"key\" => value`"),
            (quote!(storage_pool, warn, {}, {}, {}), "nothing comes after the metadata"),
        ] {
            let error = error(call.clone());
            assert!(error.contains(text), "{call}: {error}");
        }
    }
}
