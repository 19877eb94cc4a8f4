"""memtui: a terminal dashboard for Linux memory.

What lives where, from the kernel up to a pixel:

    kernel/      what Linux says: `livefiles.LiveFiles` opens, one pure `parse_x(bytes)` a source;
                 writes.py is all that changes the machine
    model/       what it means, by subject: system (free, sar, the balance, `metrics.METRICS`),
                 shortage (rules, verdict, alerts), processes, oom, cgroups, map, explain
    ondemand/    what is read when somebody asks: questions and their answers
    live/        what is read again and again, on two threads: `source.LiveSource`
    recording/   what is kept: codec and store (the file, or memory), recorder, the dashboard's
                 `lasthour`; recording and replay read it back
    session/     what is remembered, and the `Moment` of it that is shown: now, or one of the past,
                 which `past` goes to and `rebuild` puts together
    reports/     the same figures as text, JSON and CSV    } siblings,
    tui/         the same figures live, drawn with Textual } strangers to each other:
                 views, the sheets that open over them, pages, widgets, words (values as sentences)
    settings/    the table of settings, their values, the user's file
    cli.py       the command line; commands.py and views.py are the tables of commands and views

Imports go downward only (cli → commands → tui | reports → targets → session → recording →
live | settings → ondemand → model → kernel → units …), which import-linter holds.

The way of a figure. *Available* in the Overview's headline, function by function:

    kernel.meminfo.parse_meminfo        the file's bytes become a mapping
    live.sampler.Sampler.sample         … which stands in a frozen Sample
    live.source.LiveSource._tick        … taken on the sampling thread, and posted
    session.inbox.Inbox.put             … to wait for the interface's thread
    session.session.Session.take        … which takes it; the `memory` has history, verdict, events
    session.session.Session.moment      … and makes of it what is shown, free(1)'s figures once
    tui.app.MemtuiApp._show             … by the view that is visible
    tui.views.overview.Overview.update  … and there by the headline
    tui.words.frame.headline            … as cells of text and colour
"""

__version__ = "0.1.0"
