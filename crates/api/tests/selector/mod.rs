mod get_event_selectors;
mod put_event_selectors;
