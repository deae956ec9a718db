-- Collects what came of each page, and sends the report on its way when all pages are in.
-- A message may come twice, so pages are counted by their names.

local queue = require("queue")
local store = require("store")
local english = require("english")

local function frequent(counts, how_many)
    local words = {}
    for word in pairs(counts) do
        if #word > 5 then -- short words are frequent in any text
            words[#words + 1] = word
        end
    end
    table.sort(words, function(a, b)
        return counts[a] > counts[b] or counts[a] == counts[b] and a < b
    end)
    local first = {}
    for index = 1, math.min(how_many, #words) do
        first[index] = {word = words[index], times = counts[words[index]]}
    end
    return first
end

local function summary(pages, counts_of_pages)
    local total, counts, english_pages, refused = 0, {}, {}, {}
    for _, more in ipairs(counts_of_pages) do
        english.add(counts, more)
    end
    for _, page in ipairs(pages) do
        if page.refused then
            refused[#refused + 1] = {file = page.file, why = page.refused}
        else
            total = total + page.words
            english_pages[#english_pages + 1] = {file = page.file, words = page.words, ladder = page.ladder}
        end
    end
    return {words = total, frequent = frequent(counts, 8), pages = english_pages, refused = refused}
end

local function all_with(shelf, prefix)
    local found, after = {}, nil
    repeat
        local page = assert(shelf:list({prefix = prefix, after = after}))
        for _, item in ipairs(page.items) do
            found[#found + 1] = item.value
        end
        after = page.cursor
    until not page.has_more
    return found
end

local function handler(result)
    local shelf = assert(store.get("polyglot:shelf"))
    local survey = result.survey
    if result.expected then
        assert(shelf:set("expected/" .. survey, result.expected))
    else
        -- Apart from the rest, since only the report needs them.
        assert(shelf:set("counts/" .. survey .. "/" .. result.file, result.counts or {}))
        result.counts = nil
        assert(shelf:set("page/" .. survey .. "/" .. result.file, result))
    end
    local expected = shelf:get("expected/" .. survey)
    local pages = all_with(shelf, "page/" .. survey .. "/")
    if #pages == expected and not shelf:get("told/" .. survey) then
        assert(queue.publish("polyglot:reports", summary(pages, all_with(shelf, "counts/" .. survey .. "/"))))
        assert(shelf:set("told/" .. survey, true))
    end
end

return handler
