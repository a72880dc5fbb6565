// What the book's pages do besides showing text: questions, the other language, search. Nothing is loaded from
// elsewhere, and all of it works from a local disk. The words come from book/LANG/words.toml (window.bookWords).

(() => {
    "use strict";
    const words = window.bookWords;

    // --- Questions ---------------------------------------------------------------------------------------------

    // FNV-1a, as in book/builder/src/expand/quiz.rs: the page holds a sum in place of the right answer.
    function sum(text) {
        let value = 0x811c9dc5;
        for (const byte of new TextEncoder().encode(text)) {
            value = Math.imul(value ^ byte, 0x01000193) >>> 0;
        }
        return value.toString(16).padStart(8, "0");
    }

    function judge(quiz, input) {
        const right = sum(`${input.name}/${input.value}`) === quiz.dataset.key;
        const verdict = quiz.querySelector(".verdict");
        verdict.textContent = right ? words.right : words.wrong;
        verdict.className = `verdict ${right ? "right" : "wrong"}`;
        input.closest("label").classList.add(right ? "right" : "wrong");
        if (right) {
            quiz.classList.add("answered");
            quiz.querySelector(".why").open = true;
        }
    }

    for (const quiz of document.querySelectorAll(".quiz")) {
        // Arrow keys move through radio buttons and choose at once; only Enter, space or a click is an answer.
        let byArrow = false;
        quiz.addEventListener("keydown", (event) => {
            byArrow = event.key.startsWith("Arrow");
            // mdBook would turn the page.
            if (byArrow) event.stopPropagation();
            if ((event.key === "Enter" || event.key === " ") && event.target.checked) judge(quiz, event.target);
        });
        quiz.addEventListener("change", (event) => {
            if (!byArrow) judge(quiz, event.target);
            byArrow = false;
        });
    }

    // --- The other language ------------------------------------------------------------------------------------

    // Headings have the same fragments in every language.
    for (const link of document.querySelectorAll("a.book-language")) {
        link.addEventListener("click", () => {
            link.hash = location.hash;
        });
    }

    // --- Folds -------------------------------------------------------------------------------------------------

    // `workshop check` links to a check's heading. What one follows that link for is in the fold below it.
    function openLinked() {
        const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
        if (target?.matches("details")) target.open = true;
        for (let next = target?.nextElementSibling; next && !/^H[1-6]$/.test(next.tagName); next = next.nextElementSibling) {
            if (next.matches("details.causes")) next.open = true;
        }
    }
    window.addEventListener("hashchange", openLinked);
    openLinked();

    // --- Printing ----------------------------------------------------------------------------------------------

    // Paper has no folds to open. A question's answer stays closed unless it was given.
    function openFolds() {
        for (const fold of document.querySelectorAll("main details:not(.why)")) fold.open = true;
    }
    window.addEventListener("beforeprint", openFolds);
    if (/\/print\.html$/.test(location.pathname)) openFolds();

    // --- Search ------------------------------------------------------------------------------------------------

    const MOST = 30;
    // Particles that follow a Korean noun without a space. If a word is not found with one, it is looked for
    // without; with text it is the other way round by itself, since parts of words are found.
    const PARTICLE = /(?:에서는|으로는|에서|으로|에게|까지|부터|은|는|이|가|을|를|의|에|와|과|로|도|만)$/;

    const plain = (text) => text.normalize("NFC").toLowerCase();

    function forms(word) {
        const stem = word.replace(PARTICLE, "");
        return stem !== word && stem.length >= 2 ? [word, stem] : [word];
    }

    let index = null;

    // A script, since pages on a local disk may not fetch.
    function load() {
        index ??= new Promise((resolve, reject) => {
            const script = document.createElement("script");
            script.src = `${path_to_root}search-index.js`;
            script.onload = () => {
                resolve(window.bookIndex.map((entry) => ({
                    ...entry,
                    inHeading: plain(entry.heading),
                    inPage: plain(entry.page),
                    inText: plain(entry.text),
                })));
            };
            script.onerror = reject;
            document.head.append(script);
        });
        return index;
    }

    // How well an entry fits: 0 if a word is nowhere in it.
    function score(entry, query) {
        let sum = 0;
        for (const word of query) {
            const best = Math.max(...forms(word).map((form) =>
                (entry.inHeading.includes(form) ? 20 : 0)
                + (entry.inPage.includes(form) ? 5 : 0)
                + (entry.inText.includes(form) ? 3 : 0)));
            if (best === 0) return 0;
            sum += best;
        }
        return sum;
    }

    async function find(text) {
        const query = plain(text).split(/\s+/).filter(Boolean);
        if (query.length === 0) return [];
        const entries = await load();
        return entries.map((entry) => ({ entry, query, points: score(entry, query) }))
            .filter((hit) => hit.points > 0)
            .sort((a, b) => b.points - a.points)
            .slice(0, MOST);
    }

    // The text around the first word found, with the words marked; built of nodes, so that nothing in it is HTML.
    function snippet({ entry, query }) {
        const found = query.flatMap(forms).filter((form) => entry.inText.includes(form));
        const first = Math.min(...found.map((form) => entry.inText.indexOf(form)), entry.text.length);
        const start = found.length ? Math.max(0, first - 50) : 0;
        const part = entry.text.slice(start, start + 180);
        const node = document.createElement("span");
        node.className = "snippet";
        const lower = plain(part);
        let at = 0;
        // Lengths agree unless lower case has another number of letters; then nothing is marked.
        while (found.length && lower.length === part.length && at < part.length) {
            const next = found.map((form) => ({ form, place: lower.indexOf(form, at) }))
                .filter((hit) => hit.place >= 0)
                .sort((a, b) => a.place - b.place || b.form.length - a.form.length)[0];
            if (!next) break;
            node.append(part.slice(at, next.place));
            const mark = document.createElement("mark");
            mark.textContent = part.slice(next.place, next.place + next.form.length);
            node.append(mark);
            at = next.place + next.form.length;
        }
        node.append(part.slice(at));
        if (start > 0) node.prepend("…");
        return node;
    }

    function item(hit) {
        const where = document.createElement("span");
        where.className = "where";
        const { page, heading, url } = hit.entry;
        where.textContent = heading && heading !== page ? `${page} › ${heading}` : page;
        const link = document.createElement("a");
        link.href = path_to_root + url;
        link.append(where, snippet(hit));
        link.addEventListener("click", () => dialog.close());
        const li = document.createElement("li");
        li.append(link);
        return li;
    }

    const dialog = document.createElement("dialog");
    dialog.id = "book-search";
    dialog.setAttribute("aria-label", words.search);
    const form = document.createElement("form");
    form.method = "dialog";
    const input = document.createElement("input");
    Object.assign(input, { type: "search", placeholder: words.placeholder, autocomplete: "off" });
    input.setAttribute("aria-label", words.placeholder);
    const close = document.createElement("button");
    close.textContent = words.close;
    const results = document.createElement("ul");
    form.append(input, close);
    dialog.append(form, results);
    document.body.append(dialog);

    let turn = 0;
    async function show() {
        const mine = ++turn;
        const hits = await find(input.value);
        // A later letter may have been answered sooner.
        if (mine !== turn) return;
        results.replaceChildren(...hits.map(item));
        if (hits.length === 0 && input.value.trim()) {
            const none = document.createElement("li");
            none.textContent = words.nothing;
            results.append(none);
        }
    }

    function open() {
        dialog.showModal();
        input.select();
        load();
    }

    input.addEventListener("input", show);
    dialog.addEventListener("keydown", (event) => {
        event.stopPropagation();
        const links = [...results.querySelectorAll("a")];
        const at = links.indexOf(document.activeElement);
        if (event.key === "ArrowDown") (links[at + 1] ?? links[0])?.focus();
        else if (event.key === "ArrowUp") (links[at - 1] ?? input).focus();
        else if (event.key === "Enter" && document.activeElement === input) links[0]?.click();
        // In a search field the browser would only empty it.
        else if (event.key === "Escape") dialog.close();
        else return;
        event.preventDefault();
    });
    // mdBook's own keys (arrows turn pages) must rest meanwhile.
    window.search = { hasFocus: () => dialog.open };

    document.getElementById("book-search-open")?.addEventListener("click", open);
    document.addEventListener("keydown", (event) => {
        const typing = /^(?:INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "radio";
        if (event.ctrlKey || event.altKey || event.metaKey || typing || dialog.open) return;
        if (event.key === "/" || event.key === "s") {
            event.preventDefault();
            open();
        }
    });
})();
