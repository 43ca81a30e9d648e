//! A recording as a page shows it: a table, and the data of the simulator.

use std::fmt::Write as _;

use serde::Serialize;

use super::predict::{World, concerns};
use super::recording::{Arrival, Effect, Label, Recording, Step, Who};
use crate::rust::escaped;

/// What `static/steps.js` is given.
#[derive(Debug, Serialize)]
pub struct Data {
    /// The call in which the loop waits.
    wait: String,
    /// Whether the kernel keeps what is waited for: epoll.
    keeps: bool,
    /// How many system calls there are.
    calls: usize,
    /// The descriptors, in the order of each frame's rows.
    rows: Vec<Who>,
    /// What the reader sees, one after another.
    frames: Vec<Frame>,
}

/// One state of everything.
#[derive(Clone, Debug, Default, Serialize)]
struct Frame {
    /// The number of the last call that was begun, from 1.
    step: usize,
    /// Which part of the loop it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Label>,
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
    /// epoll's ready list; false for those of whom nothing is left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ready: Vec<(Who, bool)>,
    /// The calls that are offered as the next: the call, why, whether it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<(String, String, bool)>,
}

/// One descriptor in a frame: what its peer is doing, what is unread, what is waited for, what
/// was reported, and marks: `w` its peer waits, `a` something has arrived, `c` the call is about
/// it, `d` the loop has looked at what was reported.
#[derive(Clone, Debug, Serialize)]
struct Row(String, String, String, String, String);

/// The frames of a recording.
///
/// # Errors
/// The step at which the recording and the kernel's rules part.
pub fn data(recording: &Recording) -> Result<Data, String> {
    let steps = &recording.steps;
    let mut world = World::new(steps);
    let mut frames = vec![frame(&world, 0, None, &[])];
    for (n, step) in steps.iter().enumerate() {
        let parted = |why: String| format!("step {}, {}: {why}", n + 1, step.shown());
        if !step.arrived.is_empty() {
            step.arrived.iter().for_each(|arrival| world.arrive(arrival));
            let last = frames.last().cloned().unwrap_or_default();
            frames.push(Frame {
                label: last.label,
                arrived: step.arrived.iter().map(ToString::to_string).collect(),
                ..frame(&world, n, None, &step.arrived)
            });
        }
        if let Some(before) = frames.last_mut() {
            before.choices = world
                .choices(steps, n, n * 3 + 1)
                .into_iter()
                .map(|choice| (choice.call, choice.why, choice.right))
                .collect();
        }
        world.enter(step);
        if world.is_asleep() {
            frames.push(Frame {
                answer: String::new(),
                ..frame(&world, n + 1, Some(step), &[])
            });
        }
        step.meanwhile.iter().for_each(|arrival| world.arrive(arrival));
        if matches!(step.effect, Effect::Waited { reported: None, .. }) {
            break;
        }
        world.leave(step).map_err(parted)?;
        if world.kernel.after() != step.after {
            return Err(parted("the rules do not lead to what the file says".to_owned()));
        }
        frames.push(Frame {
            arrived: step.meanwhile.iter().map(ToString::to_string).collect(),
            ..frame(&world, n + 1, Some(step), &step.meanwhile)
        });
    }
    let wait = steps.iter().find(|step| step.effect.is_wait());
    Ok(Data {
        wait: wait.map_or(String::new(), |step| step.call.clone()),
        keeps: world.keeps(),
        calls: steps.len(),
        rows: Who::ALL.to_vec(),
        frames,
    })
}

/// What there is to see now.
fn frame(world: &World, step: usize, made: Option<&Step>, arrived: &[Arrival]) -> Frame {
    let rows = Who::ALL.into_iter().map(|who| {
        let interest = world.kernel.interest().iter().find(|bits| bits.who == who);
        let mut marks = String::new();
        if world.waits(who) {
            marks.push('w');
        }
        // Who connects is seen at the listener, too.
        let connects = |arrival: &Arrival| {
            who == Who::Listener && matches!(arrival.does, super::recording::Does::Connects)
        };
        if arrived.iter().any(|arrival| arrival.who == who || connects(arrival)) {
            marks.push('a');
        }
        if made.and_then(|step| concerns(&step.effect)) == Some(who) {
            marks.push('c');
        }
        let reported = world.reported(who);
        if reported.is_some_and(|(_, done)| done) {
            marks.push('d');
        }
        Row(
            world.status(who).to_owned(),
            world.kernel.unread_in_words(who).unwrap_or_default(),
            interest.map_or(String::new(), |bits| bits.events.clone()),
            reported.map_or(String::new(), |(events, _)| events.to_owned()),
            marks,
        )
    });
    Frame {
        step,
        label: made.map(|step| step.label),
        arrived: Vec::new(),
        call: made.map_or(String::new(), whole),
        answer: made.map_or(String::new(), |step| step.answer.clone()),
        asleep: world.is_asleep(),
        waits: world.who_waits(),
        rows: rows.collect(),
        ready: world.kernel.ready().collect(),
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
        for step in recording.steps.iter().filter(|step| step.label == *label) {
            if !calls.contains(&&*step.call) {
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
    let mut world = World::new(&recording.steps);
    for (n, step) in recording.steps.iter().enumerate() {
        rows.push_str(&row(&mut world, n, step)?);
    }
    let (ready, brackets) = match data.keeps {
        true => (
            "<th scope=\"col\">ready list</th>",
            " In brackets: nothing is left there, and the next wait takes it off the list.",
        ),
        false => ("", ""),
    };
    Ok(format!(
        "<div class=\"steps\" id=\"steps-{name}\" data-server=\"{name}\">\n\
         <ul class=\"steps-loop\" aria-label=\"The loop of {name}\">\n{loops}</ul>\n\
         <div class=\"table-wrapper\">\n<table>\n\
         <caption>The {calls} system calls of <code>{name}</code> while three clients come, \
         recorded with strace, and what the kernel holds after each.{brackets}</caption>\n\
         <thead><tr><th scope=\"col\">step</th><th scope=\"col\">what arrives</th>\
         <th scope=\"col\">system call</th><th scope=\"col\">unread</th>{ready}\
         <th scope=\"col\">who waits</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</div>\n\
         <script type=\"application/json\">{json}</script>\n</div>",
        calls = data.calls,
        // Inside a script element only `<` could end it.
        json = json.replace('<', "\\u003c"),
    ))
}

/// A row of the table.
fn row(world: &mut World, n: usize, step: &Step) -> Result<String, String> {
    let told = |arrivals: &[Arrival]| {
        let told: Vec<String> = arrivals.iter().map(ToString::to_string).collect();
        escaped(&told.join("; "))
    };
    step.arrived.iter().for_each(|arrival| world.arrive(arrival));
    world.enter(step);
    let slept = world.is_asleep();
    step.meanwhile.iter().for_each(|arrival| world.arrive(arrival));
    let mut waits: Vec<String> = Vec::new();
    if slept {
        waits.push("the loop".to_owned());
    }
    let clients = Who::CLIENTS.into_iter();
    waits.extend(clients.filter(|who| world.waits(*who)).map(|who| who.to_string()));
    let over = !matches!(step.effect, Effect::Waited { reported: None, .. });
    if over {
        world.leave(step)?;
    }
    let mut arrives = told(&step.arrived);
    if !step.meanwhile.is_empty() {
        let _ = write!(arrives, "<i>while it sleeps:</i> {}", told(&step.meanwhile));
    }
    let unread: Vec<String> =
        step.after.unread.iter().map(|(who, unread)| format!("{who}: {unread}")).collect();
    let mut ready = String::new();
    if world.keeps() {
        let listed: Vec<String> = world
            .kernel
            .ready()
            .map(|(who, still)| if still { who.to_string() } else { format!("({who})") })
            .collect();
        let _ = write!(ready, "<td>{}</td>", listed.join(", "));
    }
    Ok(format!(
        "<tr{class}><th scope=\"row\">{number} {label}</th><td>{arrives}</td>\
         <td><code>{call}</code> {answer}</td><td>{unread}</td>\
         {ready}<td>{waits}</td></tr>\n",
        class = if slept { " class=\"asleep\"" } else { "" },
        number = n + 1,
        label = step.label,
        call = escaped(&whole(step)),
        answer = match over {
            true => format!("= <code>{}</code>", escaped(&step.answer)),
            false => "and it sleeps".to_owned(),
        },
        unread = escaped(&unread.join("; ")),
        waits = waits.join(", "),
    ))
}
