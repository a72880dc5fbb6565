// The frame around a page: contents, theme, copying of commands, keys. Nothing here is needed to read.

(() => {
    "use strict";
    const words = window.bookWords;
    const root = document.documentElement;

    // Storage may be closed to pages of a local disk.
    function remember(key, value) {
        try {
            if (value) localStorage.setItem(key, value);
            else localStorage.removeItem(key);
        } catch { }
    }

    // --- Contents ----------------------------------------------------------------------------------------------

    // Beside the text where there is room; elsewhere it lies above it until it is closed.
    const wide = matchMedia("(min-width: 1080px)");
    const toggle = document.getElementById("contents-toggle");
    const contents = document.getElementById("contents");

    const isOpen = () => (wide.matches ? !root.classList.contains("contents-hidden") : root.classList.contains("contents-open"));
    const showState = () => toggle.setAttribute("aria-expanded", String(isOpen()));

    function setOpen(open) {
        if (wide.matches) {
            root.classList.toggle("contents-hidden", !open);
            remember("book-contents", open ? "" : "hidden");
        } else {
            root.classList.toggle("contents-open", open);
        }
        showState();
    }

    toggle.addEventListener("click", () => {
        setOpen(!isOpen());
        if (isOpen() && !wide.matches) (contents.querySelector("[aria-current]") ?? contents.querySelector("a")).focus();
    });
    wide.addEventListener("change", showState);
    contents.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || wide.matches) return;
        setOpen(false);
        toggle.focus();
    });
    document.querySelector(".column").addEventListener("click", () => {
        if (!wide.matches && isOpen()) setOpen(false);
    });
    contents.querySelector("[aria-current]")?.scrollIntoView({ block: "center" });
    scrollTo(scrollX, scrollY);
    showState();

    // --- Theme -------------------------------------------------------------------------------------------------

    // As the system has it, light, dark.
    const THEMES = ["", "light", "dark"];
    const button = document.getElementById("theme-toggle");
    const theme = () => THEMES.findIndex((name) => name && root.classList.contains(name));

    function showTheme() {
        const name = `${words.theme}: ${words.themes[Math.max(0, theme())]}`;
        button.title = name;
        button.setAttribute("aria-label", name);
    }

    button.addEventListener("click", () => {
        const next = THEMES[(Math.max(0, theme()) + 1) % THEMES.length];
        root.classList.remove("light", "dark");
        if (next) root.classList.add(next);
        remember("book-theme", next);
        showTheme();
    });
    showTheme();

    // --- Code --------------------------------------------------------------------------------------------------

    for (const code of document.querySelectorAll("pre > code[class*='language-']")) {
        const language = code.className.replace("language-", "");
        if (window.hljs?.getLanguage(language)) window.hljs.highlightElement(code);
    }

    // Commands are there to be copied; what they print is not.
    for (const code of document.querySelectorAll("pre > code.language-sh")) {
        const copy = document.createElement("button");
        copy.type = "button";
        copy.className = "copy";
        copy.textContent = words.copy;
        copy.addEventListener("click", async () => {
            await navigator.clipboard.writeText(code.textContent.trimEnd());
            copy.textContent = words.copied;
            setTimeout(() => (copy.textContent = words.copy), 2000);
        });
        const block = document.createElement("div");
        block.className = "commands";
        code.parentElement.replaceWith(block);
        block.append(code.parentElement, copy);
    }

    // What scrolls can be reached by keyboard; what fits is no stop on the way.
    function scrollers() {
        for (const box of document.querySelectorAll("main pre, main .table-wrapper, figure")) {
            // The run on the cover grows.
            const scrolls = box.scrollWidth > box.clientWidth || box.closest(".cover-run");
            if (scrolls) box.tabIndex = 0;
            else box.removeAttribute("tabindex");
        }
    }
    addEventListener("resize", scrollers);
    document.addEventListener("toggle", scrollers, true);
    scrollers();

    // --- Keys --------------------------------------------------------------------------------------------------

    document.addEventListener("keydown", (event) => {
        const { target } = event;
        const elsewhere = /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest("dialog, [tabindex='0']");
        if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey || elsewhere) return;
        const turn = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
        if (turn) document.querySelector(`.turn [rel=${turn}]`)?.click();
    });
})();
