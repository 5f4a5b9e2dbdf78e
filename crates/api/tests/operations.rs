//! Each operation from request to answer: a file per operation, in the folders of `src`.

mod dispatch;
mod event;
mod key;
mod selector;
mod sts;
mod support;
mod tag;
mod trail;
