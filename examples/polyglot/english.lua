-- What can be told about English without a dictionary.

local M = {}

-- Every fifteenth word of an English text is one of these, and hardly any of another language.
local TELLING = {the = true, ["and"] = true, of = true, is = true, it = true, that = true}

-- The words of a Markdown page in small letters, without what stands there for machines: code and addresses.
function M.words(markdown)
    local prose = markdown
        :gsub("```.-```", " ")
        :gsub("`[^`\n]*`", " ")
        :gsub("%]%([^)]*%)", "] ")
        :gsub("%a+://%S+", " ")
    local words = {}
    for word in prose:gmatch("[%a\128-\255]+") do
        words[#words + 1] = word:lower()
    end
    return words
end

function M.is_english(words)
    local telling = 0
    for _, word in ipairs(words) do
        if TELLING[word] then
            telling = telling + 1
        end
    end
    return telling * 25 > #words
end

-- How often each word is there.
function M.count(words)
    local counts = {}
    for _, word in ipairs(words) do
        counts[word] = (counts[word] or 0) + 1
    end
    return counts
end

-- Adds the counts of one page to those of others.
function M.add(counts, more)
    for word, times in pairs(more) do
        counts[word] = (counts[word] or 0) + times
    end
end

return M
