PRAGMA user_version = 2;
CREATE TABLE dialogue (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, turns TEXT NOT NULL,
    PRIMARY KEY (system, character, scenario)
) WITHOUT ROWID;
INSERT INTO "dialogue" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','[["今天面试又没过，我是不是很差劲？", "才没有呢！我被打趴下过好多次，爬起来就是了。走，先吃肉！"], ["可我吃不下……", "那我陪你坐着。等肚子叫了，我们再出发！"]]');
INSERT INTO "dialogue" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','[["室友总在半夜打游戏，我睡不好。", "直接告诉他啊！伙伴之间没什么不能说的。"], ["我怕吵架。", ""]]');
CREATE TABLE judgment (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, metric TEXT NOT NULL,
    key TEXT NOT NULL, status TEXT NOT NULL, reason TEXT, logprobs TEXT, top_is_label INTEGER,
    reading TEXT, rationale TEXT,
    PRIMARY KEY (system, character, scenario, metric)
) WITHOUT ROWID;
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','behavioral_habit','f3bff211142b8455a40c8ac487c74801408deb8f74bbff3da6a487ede5ac3e71','ok',NULL,'[-1.2060123520150028, -4.452110669184622, -1.7171658773809253, -4.693526097727368, -0.7943051650612991]',1,'exact','[-] 爬起来就是了。走，先吃肉！
用户');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','character_knowledge','539bc64a762ee25d0a43240fa0b9c53f6c929605e6a8a56f64b0fba40e6a0986','ok',NULL,'[-5.244733441102184, -0.424606596390124, -3.271707723595489, -1.3429355411450359, -6.948027527664305]',1,'exact','[-] 没有呢！我被打趴下过好多次，爬起来就是');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','coherency','dccd4ba5d7ad79cc873a2b7a13dfff635de388d4078fa7274661eabcd6b0b2df','ok',NULL,'[-2.461882247700426, -0.9663547502188841, -1.714563206814727, -1.8362359307413985, -2.2637986330175206]',1,'exact','[-] ！
用户：可我吃不下……
角色：那我陪你');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','consistency','399c6dff2baa56372c6c642a786c61bdf8cdc0e368bb81546321b962e7b22438','ok',NULL,'[-1.5278633374313861, -2.6555076786217295, -1.149949740481415, -1.3928160791342274, -2.5999959473923098]',1,'exact','[+] 才没有呢！我被打趴下过好多次，爬起来就是');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','demand_matching','e8549fcb1c040cfa863b35f03f20a1a3e02ad5ee8bf079332ba86f9de05fc9cb','ok',NULL,'[-2.9682790624452644, -1.6431656660979843, -0.4629500306552908, -6.048093494731507, -2.3158268769848434]',1,'exact','[-] 是了。走，先吃肉！
用户：可我吃不下…');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','emotional_value','ec230ac2704d385fff487ec6a0a922a2754b383b2ed49baf1f994d89c0a9a320','ok',NULL,'[-0.40116721671206457, -4.533804332957867, -4.307786480350503, -1.5921483642899168, -5.88199247930533]',1,'exact','[-] 又没过，我是不是很差劲？
角色：才没有');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','experience_sharing','1dfe6394b6a3c13fe8d9a3fad6a8f6e63328fab254515a4af70530b89fe58636','ok',NULL,'[-2.707252269383175, -1.2817255922963202, -2.8994398367214282, -1.1264643472632583, -1.339610392748975]',1,'exact','[+] ：可我吃不下……
角色：那我陪你坐着。等');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','fluency','08c182035bfbb472784ff03dc52d75407adf49a61c569d378d91e63b38e38927','ok',NULL,'[-1.0532447904564526, -4.498540017675265, -4.023085072116385, -0.6631511371770807, -2.456690897628183]',1,'exact','“走，先吃肉！”
像脱口而出；没有“套路”, <b>不加分</b>。');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','1','speech_style','fc1cc613347a40859a97ce4b3975dab05fbf0bc09e90f9cd567b1bb187824e3a','ok',NULL,'[null, null, -1.5, -0.5, null]',1,'truncated','[-] 是很差劲？
角色：才没有呢！');
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','behavioral_habit','037c8efa63a5cb2e4056b15c81fc64aeff371252ab3880a376c46e7a9a0f8db9','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','character_knowledge','49762874c4b4b27a6798b389ca7c520ae7a5cda5bc2b9d18ebfcc529e399174d','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','coherency','efe4e9e59f6864c1598b9c348026346cadfc938105440ce652433bbf77c6ca3f','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','consistency','9b1d38ae3ae6496afdb5f64c5a48d0e50b2935343b484a99dc414c70b2d051dc','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','demand_matching','c2d5bc5cf27573dc2eef1d92030748f74898fa073e61308d9a858834e0011620','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','emotional_value','d365e845bcf5e62025b03a2632bfeb9dfd44502e1acbaedb2223db4f6700f266','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','experience_sharing','dfda16b38c3ea088c7eef1863ccf2451be018f6fccf7656bcaed3876ceebb171','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','fluency','88639ce7fc1f4b6e2bfdb8afeab412b239fdb31337856d25e570317681fbd267','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
INSERT INTO "judgment" VALUES('bot','《海贼王》的蒙奇·D·路飞','2','speech_style','e094833ee5d09ee4a7df0b21fd78b031b995366bc2d1b6ae16769add87435789','empty_reply','the reply of round 2 is empty',NULL,NULL,NULL,NULL);
