//! skeptic's runtime, with the chapter's file and line in the message of a failure.

/// Stands where the generated tests expect `skeptic::rt`.
pub mod rt {
    use std::env;
    use std::panic::{self, AssertUnwindSafe, catch_unwind};
    use std::sync::Once;

    /// Compiles a snippet. Panics if it does not compile; the message begins with
    /// `src/CHAPTER.md:LINE`.
    pub fn compile_test(root: &str, out: &str, target: &str, text: &str) {
        located(text, || skeptic::rt::compile_test(root, out, target, text));
    }

    /// Compiles a snippet and runs it in an empty folder. Panics as [`compile_test`] does,
    /// and if the snippet's program ends with anything but 0.
    pub fn run_test(root: &str, out: &str, target: &str, text: &str) {
        located(text, || skeptic::rt::run_test(root, out, target, text));
    }

    fn located(text: &str, test: impl FnOnce()) {
        let place = text
            .lines()
            .find_map(|line| line.split_once("//@ "))
            .map_or("a snippet", |(_, place)| place);
        // skeptic asks the environment for its compiler. Cargo puts the one of build.rs
        // there for tests.
        let compiler = env!("RUSTC");
        assert!(
            env::var_os("RUSTC").is_some_and(|set| set == *compiler),
            "{place}: run this through cargo test or cargo nextest, which set RUSTC={compiler}"
        );
        quieten();
        if catch_unwind(AssertUnwindSafe(test)).is_err() {
            panic!(
                "{place}: this snippet fails; what the compiler or the program said stands above"
            );
        }
    }

    /// Leaves out what skeptic's own panic says: the compiler's command, 20 kB of it.
    fn quieten() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !info
                    .payload_as_str()
                    .is_some_and(|said| said.starts_with("Command failed:"))
                {
                    hook(info);
                }
            }));
        });
    }
}
