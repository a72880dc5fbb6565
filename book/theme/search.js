// The dialog for searching. What it asks, theme/search/rank.js and the index, is loaded when it is first opened.

(() => {
    "use strict";
    const words = window.bookWords;

    // Letters of text around what was found.
    const BEFORE = 50;
    const SNIPPET = 180;

    let loading = null;

    // A script, since pages on a local disk may not fetch.
    function load() {
        loading ??= new Promise((resolve, reject) => {
            const script = document.createElement("script");
            script.src = `${path_to_root}search-index.js`;
            script.onload = () => resolve(window.bookSearch);
            script.onerror = reject;
            document.head.append(script);
        });
        return loading;
    }

    function make(name, className, ...children) {
        const node = document.createElement(name);
        if (className) node.className = className;
        node.append(...children);
        return node;
    }

    // The text around the first word found, with the words marked; built of nodes, so that nothing in it is HTML.
    function snippet(entry, terms, split) {
        const node = make("span", "snippet");
        const text = entry.text.normalize("NFC");
        const found = split(text).filter((word) => terms.has(word.term));
        const start = found.length ? Math.max(0, found[0].start - BEFORE) : 0;
        const end = Math.min(text.length, start + SNIPPET);
        let at = start;
        if (start > 0) node.append("…");
        for (const word of found.filter((word) => word.end <= end)) {
            node.append(text.slice(at, word.start), make("mark", "", text.slice(word.start, word.end)));
            at = word.end;
        }
        node.append(text.slice(at, end));
        return node;
    }

    function link(entry, className, ...children) {
        const a = make("a", className, ...children);
        a.href = path_to_root + entry.url;
        a.addEventListener("click", () => dialog.close());
        return a;
    }

    function where(entry, withPage) {
        const { page, heading, fold, url } = entry;
        const parts = url.includes("#") ? [heading] : [];
        const node = make("span", "where", [...(withPage ? [page] : []), ...parts].join(" › ") || page);
        if (fold) node.append(" ", make("span", "folded", `(${words.folded.replace("{name}", fold)})`));
        return node;
    }

    // A page: its best section with the text, and where else in it.
    function item({ sections: [best, ...more], terms }, split) {
        const li = make("li", "", link(best, "", where(best, true), snippet(best, terms, split)));
        for (const entry of more) li.append(link(entry, "more", where(entry, false)));
        return li;
    }

    const dialog = make("dialog");
    dialog.id = "book-search";
    dialog.setAttribute("aria-label", words.search);
    const form = make("form");
    form.method = "dialog";
    const input = make("input");
    Object.assign(input, { type: "search", placeholder: words.placeholder, autocomplete: "off" });
    input.setAttribute("aria-label", words.placeholder);
    const results = make("ul");
    const none = make("p", "nothing");
    none.setAttribute("role", "status");
    form.append(input, make("button", "", words.close));
    dialog.append(form, none, results);
    document.body.append(dialog);

    let turn = 0;
    async function show() {
        const mine = ++turn;
        const { search, words: split } = await load();
        // A later letter may have been answered sooner.
        if (mine !== turn) return;
        const pages = search(input.value);
        results.replaceChildren(...pages.map((page) => item(page, split)));
        none.textContent = pages.length === 0 && input.value.trim() ? words.nothing : "";
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
        // Enter that ends the writing of a syllable opens nothing.
        else if (event.key === "Enter" && document.activeElement === input && !event.isComposing) links[0]?.click();
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
