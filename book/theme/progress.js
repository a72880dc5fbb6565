// What the reader has read and answered. It stays in this browser, and can be taken along as a file.

(() => {
    "use strict";
    const words = window.bookWords;
    const KEY = "book-progress";
    const contents = document.getElementById("contents");

    // { read: { "build/03-pivot-root": when }, right: { "build-03-pivot-root-quiz-1": when } }, whatever the language.
    function load() {
        try {
            return clean(JSON.parse(localStorage.getItem(KEY)));
        } catch {
            return clean(null);
        }
    }

    // A file may be anything.
    function clean(found) {
        const dates = (list) => Object.fromEntries(Object.entries(list ?? {}).filter(([, when]) => typeof when === "string"));
        return { read: dates(found?.read), right: dates(found?.right) };
    }

    function save(progress) {
        try {
            localStorage.setItem(KEY, JSON.stringify(progress));
        } catch { }
        show(progress);
    }

    function note(kind, name) {
        const progress = load();
        if (progress[kind][name]) return;
        progress[kind][name] = new Date().toISOString();
        save(progress);
    }

    const nameOf = (link) => link.getAttribute("href").replace(/^(?:\.\.\/)+/, "").replace(/\.html$/, "");
    const links = [...contents.querySelectorAll("a:not([href^='#'])")];

    // What the served book knows of the learner: pages of steps, and whether each is done on this machine (theme/run.js).
    let done = {};

    const status = document.createElement("p");
    const here = document.createElement("p");
    const box = document.createElement("div");
    box.className = "progress";

    function button(text, act) {
        const node = document.createElement("button");
        node.type = "button";
        node.textContent = text;
        node.addEventListener("click", act);
        box.append(node);
    }

    function show(progress) {
        const read = links.filter((link) => progress.read[nameOf(link)]);
        for (const link of links) {
            mark(link, "read", "✓", words.read, read.includes(link));
            mark(link, "done", "■", words.done, done[nameOf(link)]);
        }
        status.textContent = words.progress.replace("{read}", read.length).replace("{pages}", links.length)
            .replace("{right}", Object.keys(progress.right).length);
        const steps = Object.values(done);
        here.hidden = !steps.length;
        here.textContent = words.steps.replace("{done}", steps.filter(Boolean).length).replace("{steps}", steps.length);
    }

    function mark(link, kind, sign, says, holds) {
        link.querySelector(`.${kind}`)?.remove();
        if (!holds) return;
        const made = document.createElement("span");
        made.className = kind;
        made.textContent = sign;
        made.setAttribute("role", "img");
        made.setAttribute("aria-label", says);
        link.append(" ", made);
    }

    function save_file() {
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([JSON.stringify(load(), null, 2)], { type: "application/json" }));
        link.download = "workshop-book-progress.json";
        link.click();
        URL.revokeObjectURL(link.href);
    }

    function read_file() {
        const input = document.createElement("input");
        input.type = "file";
        input.accept = "application/json";
        input.addEventListener("change", async () => {
            try {
                const brought = clean(JSON.parse(await input.files[0].text()));
                const own = load();
                save({ read: { ...brought.read, ...own.read }, right: { ...brought.right, ...own.right } });
            } catch {
                status.textContent = words.unreadable;
            }
        });
        input.click();
    }

    box.append(status, here);
    button(words.export, save_file);
    button(words.import, read_file);
    contents.append(box);
    show(load());

    // Read is a page whose end was seen.
    const end = document.querySelector(".turn");
    const current = links.find((link) => link.getAttribute("aria-current"));
    if (end && current) {
        const seen = new IntersectionObserver((entries) => {
            if (entries.some((entry) => entry.isIntersecting)) note("read", nameOf(current));
        });
        seen.observe(end);
    }
    document.addEventListener("book-done", (event) => {
        done = event.detail;
        show(load());
    });
    document.addEventListener("book-answered", (event) => note("right", event.detail));
})();
