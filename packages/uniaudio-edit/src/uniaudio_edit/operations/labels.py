"""Names of sounds, emotions and dialects, and what people call them."""

from __future__ import annotations

import re
from collections.abc import Mapping

SOUNDS: dict[str, str] = {
    "rain": "rain raining rainfall 雨 雨声 下雨 下雨声",
    "music": "music song melody piano guitar 音乐 背景音乐 配乐 钢琴 乐声 bgm",
    "wind": "wind windy breeze 风 风声",
    "thunder": "thunder thunderstorm storm 雷 雷声 打雷声 暴风雨",
    "birds": "birds bird birdsong chirping 鸟 鸟叫 鸟鸣 鸟叫声",
    "traffic": "traffic street cars car-horns 车流 交通 街道 马路 车流声 街道声 汽车",
    "crowd": "crowd babble people people-talking talking chatter cafe restaurant applause 人群 人声 说话声 人群说话 人群说话声 嘈杂声 咖啡厅 掌声",
    "sea": "sea ocean waves wave seaside 海浪 海 大海 海浪声 波浪",
    "fire": "fire fireplace campfire 火 篝火 火焰",
    "dog": "dog dogs barking bark 狗 狗叫 狗叫声",
    "bell": "bell bells 铃 铃声 钟 钟声",
    "white_noise": "white-noise noise hiss 白噪声 白噪音 噪声 噪音",
    "pink_noise": "pink-noise 粉红噪声 粉噪",
    "brown_noise": "brown-noise 布朗噪声",
    "hum": "hum humming mains-hum 电流 电流声 嗡嗡声",
    "footsteps": "footsteps steps walking 脚步 脚步声",
    "keyboard": "keyboard typing 键盘 键盘声 打字声",
}
EMOTIONS: dict[str, str] = {
    "happy": "happy happily happier joyful cheerful cheerfully glad joyous delighted joy happiness 开心 高兴 快乐 喜悦 愉快 欢快",
    "sad": "sad sadly sadder sorrowful sorrow unhappy melancholy gloomy sadness 悲伤 伤心 难过 忧伤 悲痛 哀伤",
    "angry": "angry angrily angrier furious mad anger annoyed 生气 愤怒 恼火 气愤 发怒",
    "fearful": "fearful scared afraid frightened fear terrified anxious 害怕 恐惧 惊恐 担心",
    "surprised": "surprised surprise astonished amazed shocked 惊讶 吃惊 惊奇 震惊",
    "disgusted": "disgusted disgust disgusting 厌恶 恶心 嫌弃",
    "neutral": "neutral neutrally calm calmly flat 中性 平静 冷静 平淡",
    "excited": "excited excitedly enthusiastic enthusiastically 兴奋 激动",
    "tender": "tender gentle gently tenderly 温柔 柔和 轻柔",
    "serious": "serious seriously solemn 严肃 庄重",
}
DIALECTS: dict[str, str] = {
    "chengdu": "chengdu 成都 成都话",
    "sichuan": "sichuan sichuanese szechuan 四川 四川话 川话 川渝",
    "dongbei": "dongbei northeastern northeast 东北 东北话",
    "guangxi": "guangxi 广西 广西话",
    "cantonese": "cantonese guangdong canton 粤语 广东话 广东 白话 粤",
    "shanghai": "shanghai shanghainese 上海 上海话 沪语",
    "hunan": "hunan hunanese changsha 湖南 湖南话 长沙话",
    "henan": "henan 河南 河南话",
    "shandong": "shandong 山东 山东话",
    "shaanxi": "shaanxi xian 陕西 陕西话 西安话",
    "tianjin": "tianjin 天津 天津话",
    "beijing": "beijing pekingese 北京 北京话 京腔",
    "minnan": "minnan hokkien taiwanese fujian 闽南 闽南语 闽南话 福建话 台湾腔 台湾",
    "hubei": "hubei wuhan 湖北 湖北话 武汉话",
    "yunnan": "yunnan kunming 云南 云南话",
    "chongqing": "chongqing 重庆 重庆话",
    "mandarin": "mandarin putonghua 普通话 国语",
    "british": "british english uk 英式 英国",
    "american": "american us 美式 美国",
    "indian": "indian 印度",
    "scottish": "scottish scots 苏格兰",
    "irish": "irish 爱尔兰",
    "australian": "australian aussie 澳洲 澳大利亚",
}


def find_label(text: str, table: Mapping[str, str]) -> str | None:
    """The label that `text` calls by one of its names, or None."""
    bare = re.sub(r"\s+", " ", text.strip().lower().replace("'s", ""))
    for label, names in table.items():
        if bare in names.split() or bare.replace(" ", "-") in names.split() or bare == label:
            return label
    return None
