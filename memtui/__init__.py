"""memtui: a terminal dashboard for Linux memory.

What lives where, from the kernel up to a pixel:

    kernel/      what Linux says: `livefiles.LiveFiles` opens, one pure `parse_x(bytes)` a source;
                 writes.py is all that changes the machine
    model/       what it means, by subject: system (free, sar, the balance, `metrics.METRICS`),
                 shortage (rules, verdict, alerts), processes, oom, cgroups, map, crash, explain
    ondemand/    what is read when somebody asks: questions and their answers
    live/        what is read again and again, on two threads: `source.LiveSource`
    watch/       a program from its birth to its death: a process of its own that traces and tells,
                 and the `Story` that is made of what it tells
    lab/         experiments: each a file with its program, its steps and its words; the keeper that
                 runs it in a process of its own, and the bench that measures before and after
    recording/   what is kept: codec and store (the file, or memory), recorder, the dashboard's
                 `lasthour`; recording and replay read it back
    session/     what is remembered, and the `Moment` of it that is shown: now, or one of the past,
                 which `past` goes to and `rebuild` puts together
    reports/     the same figures as text, JSON and CSV    } siblings,
    tui/         the same figures live, drawn with Textual } strangers to each other:
                 views, the sheets that open over them, pages, widgets, words (values as sentences)
    settings/    the table of settings, their values, the user's file
    cli.py       runs a command line, commandline.py takes it apart; commands.py and views.py are the
                 tables of commands and views

Imports go downward only (cli → commandline → commands → tui | reports → targets → session →
recording → lab → watch → live | settings → ondemand → model → kernel → units …), which
import-linter holds.

The way of a figure. *Available* in the Overview's headline, function by function:

    kernel.meminfo.parse_meminfo        the file's bytes become a mapping
    live.sampler.Sampler.sample         … which stands in a frozen Sample
    live.source.LiveSource._tick        … taken on the sampling thread, and posted
    session.inbox.Inbox.put             … to wait for the interface's thread
    session.session.Session.take        … which takes it; the `memory` has history, verdict, events
    session.session.Session.moment      … and makes of it what is shown, free(1)'s figures once
    tui.app.MemtuiApp.show_moment       … by the view that is visible
    tui.views.overview.Overview.update  … and there by the headline
    tui.words.frame.headline            … as cells of text and colour

The way of a happening. A mapping that a program under `memtui run` makes:

    watch.watcher.Watcher._watch        the watcher's process stops at events, and looks between them
    watch.looks.Looks.look              … reads maps, and compares it with the last reading
    watch.changes.changes               … which gives what came and went, by name and size
    watch.outgoing.Outgoing.flush       … to memtui, by a pipe
    watch.watch.Watch.take              which takes in what has come, without waiting
    watch.telling.Teller.tell           … and adds it to the Story
    tui.views.run.RunView._happened     … that the screen draws, or reports.run.run_lines prints
"""

__version__ = "0.1.0"
