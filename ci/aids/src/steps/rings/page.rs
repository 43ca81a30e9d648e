//! A recording of rings as a page shows it: a table, and the data of the simulator.

use std::fmt::Write as _;

use serde::Serialize;

use super::predict::World;
use super::{Completion, Entry, Op, Owner, Recording, Step, WAIT};
use crate::rust::escaped;
use crate::steps::recording::{Arrival, Does, Label, Who};

/// What `static/steps.js` is given.
#[derive(Debug, Serialize)]
pub struct Data {
    /// The call in which the loop waits.
    wait: String,
    /// The kernel keeps what it is asked for.
    keeps: bool,
    /// There are two queues.
    rings: bool,
    /// How many system calls there are.
    calls: usize,
    /// Whose operations there are, in the order of each frame's rows.
    rows: Vec<Owner>,
    /// What the reader sees, one after another.
    frames: Vec<Frame>,
}

/// One state of everything.
#[derive(Clone, Debug, Default, Serialize)]
struct Frame {
    /// The number of the last call that was begun, from 1.
    step: usize,
    /// Which parts of the loop it belongs to.
    labels: Vec<Label>,
    /// What the loop has done without a call, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    does: String,
    /// What came from outside since the last frame, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrived: Vec<String>,
    /// The call.
    #[serde(skip_serializing_if = "String::is_empty")]
    call: String,
    /// What it answered; nothing while it sleeps.
    #[serde(skip_serializing_if = "String::is_empty")]
    answer: String,
    /// Whether the loop sleeps.
    asleep: bool,
    /// Who waits, in a sentence.
    waits: String,
    rows: Vec<Row>,
    submission: Queue,
    completion: Queue,
    /// What is asked of the reader.
    #[serde(skip_serializing_if = "str::is_empty")]
    question: &'static str,
    /// What is offered: what happens next, why, whether it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<(String, String, bool)>,
}

/// A queue in a frame: its head, its tail, and what is between: a mark, and what it is.
#[derive(Clone, Debug, Default, Serialize)]
struct Queue(u32, u32, Vec<(String, String)>);

/// One owner in a frame: what it is doing, what is unread, what is in flight, nothing, and
/// marks: `w` it waits, `a` something has arrived, `c` the entries are about it.
#[derive(Clone, Debug, Serialize)]
struct Row(String, String, String, String, String);

/// What happens between two frames.
#[derive(Default)]
struct Event<'a> {
    labels: Vec<Label>,
    does: String,
    arrived: &'a [Arrival],
    step: Option<&'a Step>,
    wrote: &'a [Entry],
    brought: &'a [(Entry, Completion)],
    /// Whose rows are marked.
    about: Vec<Owner>,
}

/// The frames of a recording.
///
/// # Errors
/// The step at which the recording and the kernel's rules part.
pub fn data(recording: &Recording) -> Result<Data, String> {
    let steps = &recording.steps;
    let mut world = World::new();
    let mut frames = vec![frame(&world, 0, &Event::default())];
    let mut brought = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let parted = |why: String| format!("step {}, {}: {why}", n + 1, step.shown());
        let choices = world.deeds(steps, n, n * 3 + 1);
        ask(&mut frames, "What does the loop do next?", choices);
        if step.is_wait() {
            enter(&mut world, &mut frames, n, step, &brought).map_err(parted)?;
        } else {
            // It is made while the loop goes through what it has taken.
            world.kernel.take();
        }
        step.meanwhile.iter().for_each(|arrival| world.arrive(arrival));
        if step.is_last() {
            break;
        }
        let now = world.leave(step).map_err(parted)?;
        if world.kernel.after() != step.after {
            return Err(parted("the rules do not lead to what the file says".to_owned()));
        }
        let label = if step.is_wait() { Label::Wait } else { Label::Drain };
        let about = match step.is_wait() {
            true => now.iter().map(|(entry, _)| entry.of).collect(),
            false => vec![Owner::Waited(Who::Store)],
        };
        let event = Event {
            labels: vec![label],
            arrived: &step.meanwhile,
            step: Some(step),
            brought: &now,
            about,
            ..Event::default()
        };
        frames.push(frame(&world, n + 1, &event));
        if step.is_wait() {
            brought = now;
        }
    }
    Ok(Data {
        wait: WAIT.to_owned(),
        keeps: true,
        rings: true,
        calls: steps.len(),
        rows: Owner::ALL.to_vec(),
        frames,
    })
}

/// Asks, at the last frame, for what comes next.
fn ask(
    frames: &mut [Frame],
    question: &'static str,
    choices: Vec<crate::steps::predict::Choice>,
) {
    if let Some(last) = frames.last_mut() {
        last.question = question;
        let choices = choices.into_iter();
        last.choices = choices.map(|c| (c.call, c.why, c.right)).collect();
    }
}

/// The loop takes what the call before has brought, writes its entries, and enters the kernel.
fn enter(
    world: &mut World,
    frames: &mut Vec<Frame>,
    n: usize,
    step: &Step,
    brought: &[(Entry, Completion)],
) -> Result<(), String> {
    world.kernel.write(step)?;
    let wrote = Event {
        labels: labels(step, brought),
        does: does(step, brought.len()),
        wrote: &step.wrote,
        about: step.wrote.iter().map(|entry| entry.of).collect(),
        ..Event::default()
    };
    frames.push(frame(world, n, &wrote));
    if !step.arrived.is_empty() {
        step.arrived.iter().for_each(|arrival| world.arrive(arrival));
        let event = Event {
            labels: wrote.labels.clone(),
            arrived: &step.arrived,
            wrote: &step.wrote,
            ..Event::default()
        };
        frames.push(frame(world, n, &event));
    }
    let choices = world.outcomes(step, n * 5 + 2);
    ask(frames, "What comes of the next io_uring_enter?", choices);
    world.enter(step)?;
    if world.is_asleep() {
        let event =
            Event { labels: vec![Label::Wait], step: Some(step), ..Event::default() };
        let asleep = frame(world, n + 1, &event);
        frames.push(Frame { answer: String::new(), ..asleep });
    }
    Ok(())
}

/// The parts of the loop between two calls: what was taken, and what is written.
fn labels(step: &Step, brought: &[(Entry, Completion)]) -> Vec<Label> {
    let accepts = |(entry, _): &(Entry, Completion)| entry.op == Op::Accept;
    let closes =
        |entry: &Entry| entry.op == Op::Close && entry.of.who().is_some_and(Who::is_client);
    [
        (Label::Accept, brought.iter().any(accepts)),
        (Label::Arm, !step.wrote.is_empty()),
        (Label::Drain, !brought.iter().all(accepts)),
        (Label::Retire, step.wrote.iter().any(closes)),
    ]
    .into_iter()
    .filter_map(|(label, is)| is.then_some(label))
    .collect()
}

/// What the loop does between two calls, in words.
fn does(step: &Step, taken: usize) -> String {
    let count = |n: usize, one: &str, many: &str| match n {
        1 => format!("one {one}"),
        n => format!("{n} {many}"),
    };
    let took = count(taken, "completion", "completions");
    let wrote = count(step.wrote.len(), "entry", "entries");
    match (taken, step.wrote.len()) {
        (0, _) => format!("The loop writes {wrote}."),
        (_, 0) => format!("The loop takes {took}, and has nothing to submit."),
        _ => format!("The loop takes {took} and writes {wrote}."),
    }
}

/// What there is to see now.
fn frame(world: &World, step: usize, event: &Event<'_>) -> Frame {
    let kernel = &world.kernel;
    let rows = Owner::ALL.into_iter().map(|of| {
        let mut marks = String::new();
        if world.waits(of) {
            marks.push('w');
        }
        let connects = |arrival: &Arrival| {
            of == Owner::Waited(Who::Listener) && matches!(arrival.does, Does::Connects)
        };
        let is_of = |arrival: &Arrival| Owner::Waited(arrival.who) == of;
        if event.arrived.iter().any(|arrival| is_of(arrival) || connects(arrival)) {
            marks.push('a');
        }
        if event.about.contains(&of) {
            marks.push('c');
        }
        Row(
            world.status(of).to_owned(),
            of.who().and_then(|who| kernel.unread_in_words(who)).unwrap_or_default(),
            kernel.flying_in_words(of),
            String::new(),
            marks,
        )
    });
    let queues = kernel.queues();
    let [head, tail] = queues.submission;
    let wrote = event.wrote.iter().map(|entry| (entry.mark.clone(), entry.shown()));
    let submission = Queue(head, tail, wrote.collect());
    let [head, tail] = queues.completion;
    let brought = event.brought.iter().map(|(entry, c)| (c.mark.clone(), c.shown(entry)));
    let completion = Queue(head, tail, brought.collect());
    Frame {
        step,
        labels: event.labels.clone(),
        does: event.does.clone(),
        arrived: event.arrived.iter().map(ToString::to_string).collect(),
        call: event.step.map_or(String::new(), whole),
        answer: event.step.map_or(String::new(), |step| step.answer.clone()),
        asleep: world.is_asleep(),
        waits: world.who_waits(),
        rows: rows.collect(),
        submission,
        completion,
        question: "",
        choices: Vec::new(),
    }
}

/// A call with those that belong to it.
fn whole(step: &Step) -> String {
    match step.with.is_empty() {
        true => step.shown(),
        false => format!("{}, with {}", step.shown(), step.with.join(" and ")),
    }
}

/// What the page says of where its facts come from.
const SEEN: &str = "Before each entry of a queue stands its user_data. Seen: the calls, by strace; the entries and the numbers of both queues, read \
                    in the memory that the server and the kernel share, each time strace held \
                    the loop before a call. Derived: what is in flight and what is unread, by \
                    rules that had to lead to every completion that was read.";

/// The element that the chapter shows. `lines`: for each label a link and what it leads to.
///
/// # Errors
/// Those of [`data`].
pub fn html(
    name: &str,
    recording: &Recording,
    lines: &[(Label, String, String)],
) -> Result<String, String> {
    let data = data(recording)?;
    let json = serde_json::to_string(&data).map_err(|e| e.to_string())?;
    let mut loops = String::new();
    for (label, link, words) in lines {
        let mut calls: Vec<&str> = Vec::new();
        for step in &recording.steps {
            let of = if step.is_wait() { Label::Wait } else { Label::Drain };
            if of == *label && !calls.contains(&&*step.call) {
                calls.push(&step.call);
            }
        }
        let _ = writeln!(
            loops,
            "<li data-label=\"{label}\"><b>{label}</b> <code>{}</code> <a href=\"{link}\">{words}</a></li>",
            if calls.is_empty() { "no call".to_owned() } else { calls.join(", ") },
        );
    }
    let mut rows = String::new();
    let mut world = World::new();
    for (n, step) in recording.steps.iter().enumerate() {
        rows.push_str(&row(&mut world, n, step)?);
    }
    Ok(format!(
        "<div class=\"steps rings\" id=\"steps-{name}\" data-server=\"{name}\">\n\
         <ul class=\"steps-loop\" aria-label=\"The loop of {name}\">\n{loops}</ul>\n\
         <div class=\"table-wrapper\">\n<table>\n\
         <caption>The {calls} system calls of <code>{name}</code> while three clients come, what \
         stands in the submission queue before each and in the completion queue after it, and \
         what is in flight then. Of each queue: \
         its head and its tail, and the entries in between.</caption>\n\
         <thead><tr><th scope=\"col\">step</th><th scope=\"col\">what arrives</th>\
         <th scope=\"col\">submission queue</th><th scope=\"col\">system call</th>\
         <th scope=\"col\">completion queue</th><th scope=\"col\">in flight</th>\
         <th scope=\"col\">who waits</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</div>\n\
         <p class=\"steps-seen\">{SEEN}</p>\n\
         <script type=\"application/json\">{json}</script>\n</div>",
        calls = data.calls,
        // Inside a script element only `<` could end it.
        json = json.replace('<', "\\u003c"),
    ))
}

/// A queue in a cell.
fn cell(queue: &Queue) -> String {
    let Queue(head, tail, entries) = queue;
    let mut text = format!("<span>{head} to {tail}</span>");
    for (mark, entry) in entries {
        let (mark, entry) = (escaped(mark), escaped(entry));
        let _ = write!(text, "<span><b>{mark}</b> <code>{entry}</code></span>");
    }
    text
}

/// A row of the table.
fn row(world: &mut World, n: usize, step: &Step) -> Result<String, String> {
    let told = |arrivals: &[Arrival]| {
        let told: Vec<String> = arrivals.iter().map(ToString::to_string).collect();
        escaped(&told.join("; "))
    };
    let mut submission = String::new();
    let mut slept = false;
    if step.is_wait() {
        world.kernel.write(step)?;
        let wrote = Event { wrote: &step.wrote, ..Event::default() };
        submission = cell(&frame(world, n, &wrote).submission);
        step.arrived.iter().for_each(|arrival| world.arrive(arrival));
        world.enter(step)?;
        slept = world.is_asleep();
    }
    step.meanwhile.iter().for_each(|arrival| world.arrive(arrival));
    let mut waits: Vec<String> = Vec::new();
    if slept {
        waits.push("the loop".to_owned());
    }
    waits.extend(
        Owner::ALL.into_iter().filter(|of| world.waits(*of)).map(|of| of.to_string()),
    );
    let mut completion = String::new();
    if !step.is_last() {
        let brought = world.leave(step)?;
        let event = Event { brought: &brought, ..Event::default() };
        if step.is_wait() {
            completion = cell(&frame(world, n, &event).completion);
        }
    }
    let mut arrives = told(&step.arrived);
    if !step.meanwhile.is_empty() {
        let _ = write!(arrives, "<i>while it sleeps:</i> {}", told(&step.meanwhile));
    }
    let flying: Vec<String> = Owner::ALL
        .into_iter()
        .map(|of| (of, world.kernel.flying_in_words(of)))
        .filter(|(_, words)| !words.is_empty())
        .map(|(of, words)| format!("<span>{of}: {}</span>", escaped(&words)))
        .collect();
    Ok(format!(
        "<tr{class}><th scope=\"row\">{number}</th><td>{arrives}</td><td>{submission}</td>\
         <td><code>{call}</code> {answer}</td><td>{completion}</td><td>{flying}</td>\
         <td>{waits}</td></tr>\n",
        class = if slept { " class=\"asleep\"" } else { "" },
        number = n + 1,
        call = escaped(&whole(step)),
        answer = match step.is_last() {
            true => "and it sleeps".to_owned(),
            false => format!("= <code>{}</code>", escaped(&step.answer)),
        },
        flying = flying.concat(),
        waits = waits.join(", "),
    ))
}
