//! mdBook reports a missing include or an HTML tag that is not closed as a warning and goes on. Here it is an
//! error: a page with a hole in it must not be published.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Runs `work` and fails if it warned of anything, with all the warnings.
pub fn as_errors(work: impl FnOnce() -> Result<()>) -> Result<()> {
    let heard = Arc::new(Mutex::new(String::new()));
    let subscriber = tracing_subscriber::registry().with(Collect(heard.clone()));
    tracing::subscriber::with_default(subscriber, work)?;
    let heard = heard.lock().map(|text| text.clone()).unwrap_or_default();
    if heard.is_empty() { Ok(()) } else { bail!("mdBook warns:\n{heard}") }
}

struct Collect(Arc<Mutex<String>>);

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Smaller levels are worse.
        if *event.metadata().level() <= Level::WARN
            && let Ok(mut text) = self.0.lock()
        {
            event.record(&mut Message(&mut text));
        }
    }
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String never fails.
            let _ = writeln!(self.0, "{value:?}");
        }
    }
}
