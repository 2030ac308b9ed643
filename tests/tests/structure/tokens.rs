//! The paths in the arguments of a macro, which `syn` leaves as tokens.

use proc_macro2::{TokenStream, TokenTree};

/// Each path in `tokens` with its line, those of one segment included.
pub(crate) fn paths(tokens: TokenStream) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<(usize, Vec<String>)>) {
    // What precedes the next token: the number of colons, and whether it is a dot.
    let (mut colons, mut dot) = (0, false);
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                match found.last_mut() {
                    Some((_, path)) if colons == 2 => path.push(ident.to_string()),
                    // A field or a method. The empty path takes its turbofish.
                    _ if dot => found.push((0, Vec::new())),
                    _ => found.push((ident.span().start().line, vec![ident.to_string()])),
                }
                (colons, dot) = (0, false);
            }
            TokenTree::Punct(punct) => {
                colons = if punct.as_char() == ':' { colons + 1 } else { 0 };
                dot = punct.as_char() == '.';
            }
            TokenTree::Group(group) => {
                collect(group.stream(), found);
                (colons, dot) = (0, false);
            }
            TokenTree::Literal(_) => (colons, dot) = (0, false),
        }
    }
    found.retain(|(line, _)| *line > 0);
}
