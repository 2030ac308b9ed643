//! The function that an attribute stands on, as far as it matters: its arguments and its body are passed
//! on unread.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, ReturnType, Token, Visibility};

pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    /// What is in the parentheses.
    pub(crate) arguments: TokenStream,
    /// Where they are.
    pub(crate) arguments_span: Span,
    pub(crate) output: ReturnType,
    /// With its braces.
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Function> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        refuse::<Token![const]>(input, "an asynchronous function cannot be `const`")?;
        let is_async = input.parse::<Option<Token![async]>>()?.is_some();
        refuse::<Token![unsafe]>(
            input,
            "the function must not be `unsafe`: there is no caller to keep it",
        )?;
        refuse::<Token![extern]>(input, "the function must not be `extern`")?;
        let keyword = input.parse::<Token![fn]>().map_err(|error| {
            syn::Error::new(error.span(), "the attribute belongs on an `async fn`")
        })?;
        if !is_async {
            return Err(syn::Error::new(
                keyword.span,
                "the function must be `async`: write `async fn`",
            ));
        }
        let name: Ident = input.parse()?;
        refuse::<Token![<]>(
            input,
            "the function must not be generic: there is no caller to choose a type",
        )?;
        let arguments = group(input, Delimiter::Parenthesis)?;
        let output = input.parse()?;
        refuse::<Token![where]>(
            input,
            "the function must not be generic: it has nothing to bound",
        )?;
        let body = group(input, Delimiter::Brace)?;
        Ok(Function {
            attributes,
            visibility,
            name,
            arguments: arguments.stream(),
            arguments_span: arguments.span(),
            output,
            body,
        })
    }
}

impl Function {
    /// The asynchronous function itself, without its attributes.
    pub(crate) fn to_async(&self) -> TokenStream {
        let Function { name, arguments, output, body, .. } = self;
        quote::quote!(async fn #name(#arguments) #output #body)
    }
}

/// An error if the next token is a `T`.
fn refuse<T: Parse + ToTokens>(input: ParseStream<'_>, why: &str) -> syn::Result<()> {
    match input.fork().parse::<T>() {
        Ok(_) => {
            let token: T = input.parse()?;
            Err(syn::Error::new_spanned(token, why))
        }
        Err(_) => Ok(()),
    }
}

fn group(input: ParseStream<'_>, delimiter: Delimiter) -> syn::Result<Group> {
    let group: Group = input.parse()?;
    match group.delimiter() == delimiter {
        true => Ok(group),
        false => Err(syn::Error::new(group.span(), "the attribute belongs on an `async fn`")),
    }
}
