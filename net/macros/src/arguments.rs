//! The arguments of an attribute: `workers = 2, current_thread`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitInt, LitStr, Path, Token};

use crate::Kind;

/// What was written in the parentheses, each argument at most once.
#[derive(Default)]
pub(crate) struct Arguments {
    workers: Option<(Span, usize)>,
    current_thread: Option<Span>,
    manual_clock: Option<Span>,
    krate: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Arguments> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            arguments.parse_one(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn parse_one(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if let Some(keyword) = input.parse::<Option<Token![crate]>>()? {
            let path = parse_path(input)?;
            return set(&mut self.krate, path, "crate", keyword.span);
        }
        let name: Ident = input.parse()?;
        let span = name.span();
        match name.to_string().as_str() {
            "workers" => {
                let workers = parse_number(input)?;
                set(&mut self.workers, (span, workers), "workers", span)
            }
            "current_thread" => set(&mut self.current_thread, span, "current_thread", span),
            "manual_clock" => set(&mut self.manual_clock, span, "manual_clock", span),
            other => Err(syn::Error::new(span, format!("unknown argument `{other}`; {KNOWN}"))),
        }
    }

    /// What contradicts itself, or the attribute.
    pub(crate) fn check(&self, kind: Kind) -> syn::Result<()> {
        if let (Some((span, _)), Some(_)) = (self.workers, self.current_thread) {
            return Err(syn::Error::new(
                span,
                "`workers` and `current_thread` exclude each other: a current-thread runtime has no \
                 worker threads",
            ));
        }
        match (kind, self.manual_clock) {
            (Kind::Main, Some(span)) => Err(syn::Error::new(
                span,
                "`manual_clock` is an argument of `test` alone: a program runs on the system's clock",
            )),
            _ => Ok(()),
        }
    }

    pub(crate) fn has_manual_clock(&self) -> bool {
        self.manual_clock.is_some()
    }

    /// The path of the crate heist.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::heist), |path| quote!(#path))
    }

    /// The expression of the runtime's builder.
    pub(crate) fn builder(&self, kind: Kind) -> TokenStream {
        let krate = self.krate();
        let mut builder = quote!(#krate::Builder::new());
        if kind == Kind::Test {
            builder.extend(quote!(.ignore_environment()));
        }
        match self.workers {
            Some((_, workers)) => builder.extend(quote!(.workers(#workers))),
            None if self.current_thread.is_some() || kind == Kind::Test => {
                builder.extend(quote!(.current_thread()));
            }
            None => {}
        }
        builder
    }
}

fn set<T>(place: &mut Option<T>, value: T, name: &str, span: Span) -> syn::Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(syn::Error::new(span, format!("`{name}` is given twice"))),
    }
}

/// `= 2`.
fn parse_number(input: ParseStream<'_>) -> syn::Result<usize> {
    const WHAT: &str = "the number of workers is a whole number from 1 on, as in `workers = 2`";
    input.parse::<Token![=]>().map_err(|error| syn::Error::new(error.span(), WHAT))?;
    let number: LitInt = input.parse().map_err(|error| syn::Error::new(error.span(), WHAT))?;
    match number.base10_parse() {
        Ok(workers) if workers > 0 => Ok(workers),
        _ => Err(syn::Error::new(number.span(), WHAT)),
    }
}

/// `= "path::of::heist"`, with the quotes or without.
fn parse_path(input: ParseStream<'_>) -> syn::Result<Path> {
    input.parse::<Token![=]>()?;
    match input.peek(LitStr) {
        true => input.parse::<LitStr>()?.parse(),
        false => Path::parse_mod_style(input),
    }
}

const KNOWN: &str = "there are `workers = N`, `current_thread`, `crate = \"path\"`, and for `test` also \
                     `manual_clock`";
